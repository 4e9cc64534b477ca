"""The study of training instability: settings, cells on the disk, and numbers that can be checked by hand."""

import json
import shlex

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.cli import main
from pushforward.flows import residual
from pushforward.studies import registry
from pushforward.studies.density_of_states.traced import log_densities
from pushforward.studies.training_stability.cells import _exact, _settings
from pushforward.studies.training_stability.config import TrainingStabilityConfig
from pushforward.studies.training_stability.page import _gaps, _key, _row
from tests.test_cli import run

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("training-stability")]  # its runs are made once

WORDS = shlex.split(
    "reproduce training-stability --dim 3 --flows real-nvp --controls nice --learning-rates 0.001 "
    "--gradient-clips 1e-6 --batch-sizes 32 --points 1000 --scales 2 1e6 --diagonals matched "
    "--seeds 2 --steps 400 --width 4"
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a small study, and its rows."""
    folder = tmp_path_factory.mktemp("stability")
    main([*WORDS, "--out", str(folder)])
    return folder, json.loads((folder / "training-stability.json").read_text())


def test_one_factor_at_a_time():
    config = registry.study("training-stability").config
    assert isinstance(config, TrainingStabilityConfig)
    settings = list(_settings(config))
    assert len({setting.name for setting in settings}) == len(settings) == 13 + 15 + 15 + 2
    baselines = {setting.cell.flow: setting for setting in settings if setting.factor is None}
    for setting in settings:
        before = baselines[setting.cell.flow]
        changed = [
            name
            for ours, theirs in ((setting.cell, before.cell), (setting.effort, before.effort))
            for name in vars(ours)
            if getattr(ours, name) != getattr(theirs, name)
        ]
        assert changed == ([] if setting.factor is None else [setting.factor])


def test_what_is_on_the_disk(study):
    folder, rows = study
    assert {path.name for path in folder.iterdir()} == {
        "cells",
        "report.html",
        *(f"training-stability.{suffix}" for suffix in ("md", "json", "png")),
        *(f"training-stability-{name}.png" for name in ("traces", "toy")),
    }
    assert len(rows) == len(list((folder / "cells").iterdir())) == 3 + 1
    assert "| real-nvp | gradient clip 1e-06 |" in (folder / "training-stability.md").read_text()


def test_numbers_follow_from_those_of_the_seeds(study):
    folder, rows = study
    gaps = {path.stem: json.loads(path.read_text())["gaps"] for path in (folder / "cells").iterdir()}
    found = {(row["flow"], row["factor"]): row for row in rows}
    nvp = found["real-nvp", None]
    assert nvp["diverged"] == 0
    kls = [member["kl"] for member in nvp["members"]]
    assert nvp["kl"]["median"] == pytest.approx(np.median(kls))
    assert nvp["kl_mean"]["value"] == pytest.approx(np.mean(kls), abs=1e-4)
    difference = np.mean(gaps["real-nvp-baseline"]) - np.mean(gaps["nice-baseline"])
    assert nvp["less_nice"]["value"] == pytest.approx(difference)
    assert nvp["less_nice"]["interval"][0] < difference < nvp["less_nice"]["interval"][1]
    assert nvp["less_real-vp"] is None
    for member in nvp["members"]:
        assert member["last_loss"] >= member["best_loss"]
        assert member["largest_gradient"] > 0
        assert member["eigenvalue"] > member["eigenvalue_error"]


def test_seeds_that_diverge_are_counted_and_left_out(study):
    rows = {(row["flow"], row["factor"]): row for row in study[1]}
    lost = rows["real-nvp", "scale"]
    assert lost["diverged"] == 2
    assert lost["kl"] is None
    assert lost["kl_mean"] is None
    assert "| real-nvp | scale at the start 1e+06 | 2 of 2 | — |" in (study[0] / "training-stability.md").read_text()


def test_one_seed_that_diverged_is_left_out(study):
    """As the differences are of pairs, its partner is left out of them too."""
    folder, _ = study
    nice, nvp = (json.loads((folder / f"cells/{flow}-baseline.json").read_text()) for flow in ("nice", "real-nvp"))
    nice["members"][0], nice["gaps"][0] = {"diverged": True}, None
    truth = dict.fromkeys(("bound", "bound_low", "bound_high", "gaussian_kl"), 0.0)
    gaps = {_key(result): _gaps(result) for result in (nice, nvp)}
    ours, theirs = (_row({**result, "truth": truth}, gaps) for result in (nice, nvp))
    assert ours["diverged"] == 1
    assert ours["kl"]["median"] == nice["members"][1]["kl"]
    assert theirs["less_nice"]["value"] == pytest.approx(np.mean(nvp["gaps"][1]) - np.mean(nice["gaps"][1]))


def test_a_finished_cell_is_not_run_again(study, capsys):
    folder = study[0]
    before = {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    assert run(capsys, *WORDS, "--out", folder)[0] == 0
    assert before == {path: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--steps 5", "other settings"),
        ("--flows nicee", "did you mean 'nice'"),
        ("--diagonals match", "did you mean 'matched'"),
        ("--learning-rates 0", "--learning-rates must be positive"),
        ("--gradient-clips -1", "--gradient-clips must be 0 or more"),
        ("--batch-sizes 0", "--batch-sizes must be 1 or more"),
        ("--variance 0", "--variance must be"),
        ("--seeds 0", "--seeds must be 1 or more"),
    ],
)
def test_refusals_are_one_line(study, capsys, words, message):
    code, _, err = run(capsys, *WORDS, *words.split(), "--out", study[0])
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_clipping_is_seen_in_the_trace(study):
    """Where the bound lies below every gradient all steps are clipped, where it lies above no step is."""
    rows = {row["factor"]: row["members"] for row in study[1] if row["flow"] == "real-nvp"}
    for clipped, free in zip(rows["gradient_clip"], rows[None]):
        assert clipped["clipped"] == 1
        assert free["clipped"] == 0
        assert free["largest_gradient"] < 10
        assert clipped["largest_gradient"] == pytest.approx(free["largest_gradient"], rel=0.5)


def test_a_residual_flow_is_measured_without_estimates():
    key, x = jax.random.key(0), jnp.ones((4, 3))
    exact, estimated = (
        jax.tree.map(lambda leaf: leaf[None] if eqx.is_array(leaf) else leaf, residual(key, 3, 2, width=4, exact=exact))
        for exact in (True, False)
    )
    expected = np.asarray(log_densities(exact, x))
    np.testing.assert_allclose(log_densities(_exact(estimated), x), expected, rtol=1e-5)
    assert np.abs(np.asarray(log_densities(estimated, x)) - expected).max() > 1e-3
