"""Studies of densities of states: cells on the disk, and numbers that can be checked against each other."""

import itertools
import json
import math
import shlex
from dataclasses import replace

import numpy as np
import pytest

from pushforward.cli import main
from pushforward.errors import UserError
from pushforward.evaluation.means import mean_interval
from pushforward.studies.density_of_states.cells import groups_of, measure_together
from pushforward.studies.density_of_states.data import DIAGONALS, Cell, InflatedData
from pushforward.studies.density_of_states.effort import Effort
from pushforward.studies.density_of_states.flows import BASES, FLOWS
from tests.test_cli import run

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("states-studies")]  # its runs are made once

EFFORT = Effort(seeds=2, steps=4, batch_size=8, length=2, width=4, depth=1, side_by_side=8)
GRID = shlex.split(
    "reproduce density-of-states-grid --manifolds segment-uniform --dims 2 --noises normal --variances 0 0.01 "
    "--flows nice real-nvp --seeds 2 --steps 4 --width 4"
)


def results(cells, effort=EFFORT):
    found = {}
    for group in groups_of(cells, effort):
        found |= dict(zip(group, measure_together(group, effort, 0)))
    return found


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The folder of a small grid."""
    folder = tmp_path_factory.mktemp("grid")
    main([*GRID, "--out", str(folder)])
    return folder


def test_a_grid_is_on_the_disk(study):
    assert {path.name for path in study.iterdir()} == {
        "cells",
        "report.html",
        *(f"density-of-states-grid.{suffix}" for suffix in ("md", "json", "png")),
        *(f"density-of-states-grid-{name}.png" for name in ("w1", "states", "states-on-manifold", "volume", "layers")),
    }
    rows = json.loads((study / "density-of-states-grid.json").read_text())
    assert len(rows) == len(list((study / "cells").iterdir())) == 4
    for row in rows:
        assert row["diverged"] == 0
        if row["variance"] == 0:
            assert row["kl"] is None
            assert np.isfinite(row["nll"])
        else:
            assert row["kl"] == pytest.approx(row["negative_entropy"] + row["nll"], abs=0.1)
            assert 0 <= row["bound"] < row["gaussian_kl"] + 0.05
    assert "segment-uniform" in (study / "density-of-states-grid.md").read_text()


def test_a_finished_cell_is_not_run_again(study, capsys):
    before = {path: path.stat().st_mtime_ns for path in (study / "cells").iterdir()}
    assert run(capsys, *GRID, "--out", study)[0] == 0
    assert before == {path: path.stat().st_mtime_ns for path in (study / "cells").iterdir()}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--steps 5", "other settings"),
        ("--flows nicee", "did you mean 'nice'"),
        ("--manifolds segment", "unknown manifold"),
        ("--noises gaussian", "unknown noise"),
        ("--bases normall", "did you mean 'normal'"),
        ("--diagonals match", "did you mean 'matched'"),
        ("--variances -1", "--variances must be 0 or more"),
        ("--variances 0", "--variances must have one above 0"),
        ("--dims 1", "--dims must be 2 or more"),
        ("--seeds 0", "--seeds must be 1 or more"),
    ],
)
def test_refusals_are_one_line(study, capsys, words, message):
    code, _, err = run(capsys, *GRID, *words.split(), "--out", study)
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_cell_does_not_depend_on_those_beside_it():
    cells = [Cell("segment-uniform", 2, "normal", variance, "real-nvp") for variance in (0.01, 0.1)]
    together, alone = results(cells), results(cells[1:])
    ours, theirs = (each[cells[1]]["members"] for each in (together, alone))
    for a, b in zip(ours, theirs):
        assert a["nll"] == pytest.approx(b["nll"], rel=1e-4)
        assert a["w1"] == pytest.approx(b["w1"], rel=1e-3)


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.long
def test_every_flow_is_measured(flow):
    # A thin ring, and so many steps that the validation set finds one of them better than none.
    cell = Cell("circle", 2, "normal", 0.01, flow)
    (result,) = results([cell], replace(EFFORT, steps=300, batch_size=64, width=16)).values()
    for member in result["members"]:
        assert member["diverged_at"] is None
        for name in ("nll", "kl", "kl_on_manifold", "w1", "w1_centred", "mean_gap"):
            assert np.isfinite(member[name]), name
        spread = np.array(member["layers"])[:, 1]
        assert (spread.max() < 1e-5) == (flow in ("nice", "real-vp", "vp-nvp"))


@pytest.mark.parametrize(("base", "diagonal"), list(zip(BASES, itertools.cycle(DIAGONALS))))
@pytest.mark.long
def test_every_base_is_measured(base, diagonal):
    """A volume-preserving flow keeps the shape of its base's density of states, which is that of its own draws."""
    cell = Cell("segment-uniform", 3, "uniform", 0.01, "nice", base, diagonal)
    (result,) = results([cell], replace(EFFORT, seeds=1)).values()
    (member,) = result["members"]
    drawn = member["states"]
    assert np.isfinite(member["kl"])
    assert len(drawn["quantiles"]) == 100
    assert np.all(np.diff(drawn["quantiles"]) >= 0)
    flat = np.ptp(drawn["quantiles"]) < 2 * math.log(3) < np.ptp(result["truth"]["states"]["quantiles"]) + 2
    assert flat == (base == "uniform")


def test_an_interval_of_seeds_and_rows_covers():
    """Over 2,000 repetitions 95% intervals cover in 94% of them at least; less by chance once in 50 times."""
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(2_000):
        gaps = rng.normal(size=(5, 1)) * 0.1 + rng.normal(size=40) + rng.normal(size=(5, 40)) * 0.3
        low, high = mean_interval(gaps)
        hits += low <= 0 <= high
    assert hits / 2_000 >= 0.94
    assert mean_interval(np.full((5, 40), np.nan)) is None
    one = mean_interval(np.array([[1.0, 3.0, np.inf], [1.0, 2.0, 3.0]]))
    assert one == mean_interval(np.array([[1.0, 2.0, 3.0]]))


def test_volume_changes_add_up():
    """The optimal change is the actual one plus what the flow misses; the layers make up the actual one."""
    cell = Cell("segment-smooth-step", 2, "uniform", 0.01, "real-nvp")
    member = results([cell])[cell]["members"][0]
    data = InflatedData(cell, 100, 0)
    missed = np.array(member["optimal"]) - np.array(member["actual"])
    assert missed.shape == (64,)
    assert np.mean(missed) == pytest.approx(member["kl"], abs=5 * np.std(data.log_p) / 8)
    assert np.sum(np.array(member["layers"])[:, 0]) == pytest.approx(np.mean(member["actual"]), abs=0.1)


def test_standardisation_is_of_the_noise():
    data = InflatedData(Cell("segment-uniform", 5, "normal", 1e-4, "nice"), 1_000, 0)
    loc, scale = data.diagonal
    np.testing.assert_allclose(scale[1:], 1e-2, rtol=1e-5)
    np.testing.assert_allclose(scale[0], np.sqrt(1 / 12 + 1e-4), rtol=0.05)
    np.testing.assert_allclose(loc[1:], 0)
    np.testing.assert_allclose(data.test.std(0)[1:], 1e-2, rtol=0.05)
    plain = InflatedData(Cell("segment-uniform", 5, "normal", 1e-4, "nice", diagonal="none"), 100, 0)
    np.testing.assert_array_equal(plain.diagonal[1], 1)


def test_deflation():
    data = InflatedData(Cell("segment-uniform", 5, "normal", 1e-4, "nice"), 1_000, 0)
    assert data.deflation == pytest.approx(-2 * np.log(2 * np.pi * 1e-4))


def test_unknown_flow():
    with pytest.raises(UserError, match="did you mean 'residual'"):
        results([Cell("point", 2, "normal", 1.0, "residua")])


def test_landscapes(tmp_path, capsys):
    few = "--dim 3 --flows nice real-nvp --seeds 2 --steps 6 --width 4 --points 5"
    words = ["reproduce", "loss-landscape", *shlex.split(few)]
    assert run(capsys, *words, "--out", tmp_path)[0] == 0
    rows = {row["flow"]: row for row in json.loads((tmp_path / "loss-landscape.json").read_text())}
    for row in rows.values():
        loss = np.array(row["landscapes"]["all"], float)
        assert loss.shape == (5, 5)
        assert loss[2, 2] == np.array(row["landscapes"]["rest"], float)[2, 2]
        assert row["eigenvalues"]["all"] >= max(row["eigenvalues"]["scale"], row["eigenvalues"]["rest"]) - 1e-3
        assert np.array(row["trace"]["gradient_norm"]["rest"]).shape == (2, len(row["trace"]["steps"]))
    assert (tmp_path / "loss-landscape.png").stat().st_size > 10_000
    assert "| nice |" in (tmp_path / "loss-landscape.md").read_text()
    code, _, err = run(capsys, *words[:2], "--points", "4", "--out", tmp_path)
    assert code == 2
    assert "--points must be odd" in err
