"""What `--over` says, and the runs that it makes."""

import pytest

from pushforward.errors import UserError
from pushforward.experiments.families import Affine, Splines
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.posterior.config import PosteriorConfig
from pushforward.experiments.train.config import TrainConfig
from pushforward.sweeps.grid import axes_of, runs_of

FIT = FitConfig(target="u1")


def runs(words, config=FIT):
    return runs_of(config, axes_of(words, config))


def test_every_point_of_the_grid_is_a_run():
    found = runs(["flow.length=4,8", "seed=0..2", "batch-size=16"])
    assert [(each.length, each.seed, each.batch_size) for each in found.values()] == [
        (length, seed, 16) for length in (4, 8) for seed in (0, 1, 2)
    ]
    assert next(iter(found)) == "length-4-seed-0-batch_size-16"
    assert all(each.target == "u1" and each.steps == FIT.steps for each in found.values())


def test_names_are_those_of_flags_and_of_settings():
    written = ("flow.length=2", "length=2", "--flow.length=2", "--length=2")
    assert {tuple(runs([word]).values()) for word in written} == {tuple(runs(["length=2"]).values())}
    assert next(iter(runs(["learning_rate=0.5"]).values())) == next(iter(runs(["learning-rate=5e-1"]).values()))


def test_settings_of_a_family_follow_the_flow():
    found = runs(["flow=nsf_coupling,maf", "width=3,5"])
    assert [type(each.settings) for each in found.values()] == [Splines] * 2 + [type(FIT.with_flow("maf").settings)] * 2
    assert [each.settings.width for each in found.values()] == [3, 5, 3, 5]
    shared = FitConfig(target="u1", flow="real_nvp", settings=Affine(width=7))
    assert [getattr(each.settings, "width", None) for each in runs(["flow=planar,iaf"], shared).values()] == [None, 7]


def test_values_are_read_as_the_command_line_reads_them():
    assert [each.settings.exact for each in runs(["flow=continuous", "exact=true,False"]).values()] == [True, False]
    assert [each.dim for each in runs(["dim=2,3"]).values()] == [2, 3]
    assert [each.seconds for each in runs(["seconds=1,2.5"], PosteriorConfig(target="funnel")).values()] == [1.0, 2.5]
    assert [each.learning_rate for each in runs(["learning-rate=1e-3"], TrainConfig(data="moons")).values()] == [1e-3]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["lenght=3"], "no such setting; did you mean 'length'"),
        (["target=u1,u2"], "no such setting"),
        (["settings=3"], "no such setting"),
        (["seed="], "has no value"),
        (["seed=3..1"], "has no value"),
        (["seed"], "not of the form name=value"),
        ([], "give what to vary"),
        (["seed=0", "seed=1"], "given twice"),
        (["seed=0,0"], "two runs of the grid are the same"),
        (["learning-rate=1e-3,0.001"], "two runs of the grid are the same"),
        (["seed=a"], "'a' is no value of --seed"),
        (["frames=0.5"], "'0.5' is no value of --frames"),
        (["gradient=foo"], "'foo' is no value of --gradient"),
        (["flow=continuous", "exact=perhaps"], "it is true or false"),
        (["flow=planar,mafx"], "unknown flow 'mafx'; did you mean 'maf'"),
        (["flow=planar,maf", "width=3"], "planar has no --width"),
        (["length=-1"], "--length must be 0 or more"),
    ],
)
def test_what_cannot_be_varied_is_refused_by_name(words, complaint, capfd):
    with pytest.raises(UserError, match=complaint):
        runs(words)
    assert capfd.readouterr() == ("", "")
