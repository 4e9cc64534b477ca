"""Folders that the version before the experiments were regrouped wrote: they resume, report, load and go on."""

import json
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest

import pushforward
from pushforward.cli import main

pytestmark = pytest.mark.long

OLD = Path(__file__).parent / "old_runs"
ENERGIES = (
    "reproduce rezende-mohamed-figure-3 --targets u2 --flows planar --lengths 1 2 --restarts 1 "
    "--steps 50 --out energies"
)
STATES = (
    "reproduce vp-bound --manifolds segment-uniform --dims 2 --flows nice real-nvp --seeds 2 "
    "--steps 20 --width 4 --points 50 --out states"
)


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy of them."""
    shutil.copytree(OLD, tmp_path / "old")
    monkeypatch.chdir(tmp_path / "old")
    return tmp_path / "old"


@pytest.mark.parametrize("name", ["fit", "train"])
def test_flows_load_and_are_sampled(old, name):
    flow = pushforward.load(name)
    x, log_prob = flow.sample_and_log_prob(jax.random.key(0), (5,))
    assert np.allclose(flow.log_prob(x), log_prob, atol=1e-3)
    main(["sample", name, "-n", "5"])
    with np.load(old / name / "samples.npz") as samples:
        assert samples["samples"].shape == (5, *flow.shape)


@pytest.mark.parametrize("name", ["fit", "train", "dlgm"])
def test_reports_are_written_again(old, name):
    main(["report", name])
    assert (old / name / "report.html").stat().st_size > 50_000


@pytest.mark.parametrize(
    ("name", "measure", "within"),
    [("fit", "kl", 0.02), ("train", "test_log_likelihood", 0.02), ("dlgm", "free_energy", 0.05)],
)
def test_interrupted_runs_go_on(old, name, measure, within):
    """Without its result and its last checkpoint a run is as one that was interrupted."""
    result = json.loads((old / name / "result.json").read_text())
    (old / name / "result.json").unlink()
    steps = sorted(int(path.name) for path in (old / name / "checkpoints").iterdir())
    if len(steps) > 1:
        shutil.rmtree(old / name / "checkpoints" / str(steps[-1]))
    main(["fit" if name == "fit" else "train", "--resume", name])
    again = json.loads((old / name / "result.json").read_text())
    assert again[measure] == pytest.approx(result[measure], abs=within)


def test_a_study_of_runs_goes_on(old):
    (old / "energies/cells/u2-planar-2/result.json").unlink()
    kept = (old / "energies/cells/u2-planar-1/result.json").stat().st_mtime_ns
    main(ENERGIES.split())
    assert (old / "energies/cells/u2-planar-1/result.json").stat().st_mtime_ns == kept
    assert len(json.loads((old / "energies/rezende-mohamed-figure-3.json").read_text())) == 2


def test_a_study_of_cells_goes_on(old):
    nice, real_nvp = sorted((old / "states/cells").iterdir())
    kept = nice.stat().st_mtime_ns
    real_nvp.unlink()
    main(STATES.split())
    assert nice.stat().st_mtime_ns == kept
    rows = json.loads((old / "states/vp-bound.json").read_text())
    assert [row["flow"] for row in rows] == ["nice", "real-nvp"]
    assert all(np.isfinite(row["kl"]) for row in rows)
