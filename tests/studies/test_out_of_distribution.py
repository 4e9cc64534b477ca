"""Flows shown images of another kind: what is on the disk, and that likelihood and typicality differ as they must."""

import json
import shlex

import equinox as eqx
import numpy as np
import pytest

from pushforward.bijections import Volume
from pushforward.cli import main
from pushforward.experiments.train.config import TrainConfig
from pushforward.experiments.train.models import make_ensemble
from pushforward.states import from_log_densities, wasserstein
from pushforward.studies.out_of_distribution.cells import FLOWS, _trained_by
from tests.test_cli import run

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("out-of-distribution")]  # its flows are trained once

NAME = "out-of-distribution"
WORDS = shlex.split(
    f"reproduce {NAME} --flows bottleneck --groups 4 --steps 30 --length 1 --width 4 --bottleneck 4 --images 30 "
    "--draws 50"
)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Images of noise, and of almost plain grey, of which every flow of noise makes too much; and others."""
    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(0)
    arrays = {
        "noise": rng.integers(0, 256, (400, 4, 4)).astype(np.uint8),
        "grey": rng.integers(118, 139, (400, 4, 4)).astype(np.uint8),
        "large": rng.integers(0, 256, (50, 8, 8)).astype(np.uint8),
        "table": rng.normal(size=(50, 2)),
    }
    for name, values in arrays.items():
        np.save(folder / f"{name}.npy", values)
    return {name: str(folder / f"{name}.npy") for name in arrays}


@pytest.fixture(scope="module")
def words(sets):
    return [*WORDS, "--data", sets["noise"], sets["grey"]]


@pytest.fixture(scope="module")
def study(words, tmp_path_factory):
    """The folder of a small study."""
    folder = tmp_path_factory.mktemp("study")
    main([*words, "--out", str(folder)])
    return folder


def test_it_is_on_the_disk(study):
    assert {path.name for path in study.iterdir()} == {
        "cells",
        "runs",
        "report.html",
        *(f"{NAME}.{suffix}" for suffix in ("md", "json", "png")),
    }
    rows = json.loads((study / f"{NAME}.json").read_text())
    assert [(row["data"], row["outliers"]) for row in rows] == [("noise", "grey"), ("grey", "noise")]
    assert len(list((study / "cells").iterdir())) == len(list((study / "runs").iterdir())) == 2
    text = (study / f"{NAME}.md").read_text()
    assert "| noise | grey | bottleneck | 0 |" in text
    assert "30 test images, 30 outliers, 50 draws of the flow, 20 held-out images" in " ".join(text.split())


def test_likelihood_fails_where_the_typical_set_does_not(study):
    for row in json.loads((study / f"{NAME}.json").read_text()):
        for detection in row["detection"]:
            areas = {name: area["value"] for name, area in detection["auroc"].items()}
            if row["data"] == "noise":
                assert areas["likelihood"] < 0.05
            else:
                assert areas["likelihood"] > 0.95
            assert areas["distance_held_out"] > 0.95
            # 20 held-out images make p-values of 1/21 and its multiples: ties.
            assert areas["two_sided_held_out"] > 0.9
        assert [(each["group_size"], each["groups"]["inliers"]) for each in row["detection"]] == [(1, 30), (4, 7)]


def test_numbers_agree(study):
    for path in (study / "cells").iterdir():
        cell = json.loads(path.read_text())
        result = json.loads((study / "runs" / cell["run"] / "result.json").read_text())
        laws = {name: from_log_densities(values) for name, values in cell["log_densities"].items()}
        for name, law in laws.items():
            assert law.mean == pytest.approx(cell["laws"][name]["mean"], abs=0.01)
            assert np.sqrt(law.variance) == pytest.approx(cell["laws"][name]["standard_deviation"], abs=0.01)
        # The run judged 40 test images, of which these are 30, with other noise.
        assert cell["laws"]["inliers"]["bits_per_dimension"] == pytest.approx(
            result["test_bits_per_dimension"], abs=5 * 16**-0.5 * np.sqrt(laws["inliers"].variance / 30)
        )
        distance = cell["distances"]["own"]["wasserstein"]
        assert distance["low"] <= distance["value"] <= distance["high"]
        assert distance["value"] == pytest.approx(wasserstein(laws["inliers"], laws["own"]), abs=0.02)


def test_a_finished_cell_is_not_run_again_and_a_missing_one_is(study, words, capsys):
    cells = sorted((study / "cells").iterdir())
    before = {path: path.stat().st_mtime_ns for path in cells}
    again, text = cells[0], cells[0].read_text()
    again.unlink()
    assert run(capsys, *words, "--out", study)[0] == 0
    assert {path for path in cells if path.stat().st_mtime_ns != before[path]} == {again}
    ours, theirs = json.loads(again.read_text()), json.loads(text)
    assert ours["laws"] == theirs["laws"]
    assert ours["detection"] == theirs["detection"]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("--draws 60", "was made with other settings"),
        ("--steps 31", "was made with other settings"),
        ("--flows glowe", "did you mean 'glow'"),
        ("--seeds 0", "--seeds must be 1 or more"),
        ("--images 9", "--images must be 10 or more"),
        ("--groups 1", "--groups must be 2 or more"),
        ("--groups 16", "30 test images of noise.npy do not make 2 groups of 16"),
    ],
)
def test_refused_settings_are_one_line(study, words, capsys, more, message):
    _refused(run(capsys, *words, *more.split(), "--out", study), message)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["noise"], "--data must be two sets of images or more"),
        (["noise", "noise"], "with names that differ"),
        (["noise", "large"], "large.npy holds images of shape (8, 8, 1) in 256 levels"),
        (["noise", "table"], "table.npy holds no images"),
    ],
)
def test_refused_data_are_one_line_and_leave_nothing(sets, tmp_path, capsys, names, message):
    folder = tmp_path / "study"
    _refused(run(capsys, *WORDS, "--data", *(sets[name] for name in names), "--out", folder), message)
    assert not folder.exists()


@pytest.mark.parametrize("name", FLOWS)
def test_every_flow_can_be_made(name):
    config = TrainConfig(data="mnist", length=2, **FLOWS[name])
    model = eqx.filter_eval_shape(make_ensemble, config, (28, 28, 1), 256)
    assert model.flow.shape == (28, 28, 1)
    assert model.flow.bijection.volume is Volume.VARYING


def test_cells_are_called_as_they_were():
    """What `settings.training` of a finished cell says, before the settings of families had types of their own."""
    glow = TrainConfig(data="mnist", length=2, **FLOWS["glow"])
    assert _trained_by(glow) == "pushforward train mnist --flow glow --length 2 --mixing lu"
    masked = TrainConfig(data="mnist", length=2, **FLOWS["real-nvp"])
    assert _trained_by(masked) == "pushforward train mnist --flow glow --length 2 --mixing permutation"


def _refused(outcome, message):
    code, _, err = outcome
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
