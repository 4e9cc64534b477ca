"""Posteriors on the command line: an example from the model to the refined draws, and what is refused."""

import csv
import json
import shutil
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest

import pushforward
from pushforward.cli import main
from pushforward.cli.fit import is_for_ladder
from pushforward.experiments.posterior.config import PosteriorConfig
from pushforward.inference.posterior import Effort
from tests.test_cli import run

EXAMPLES = Path(__file__).parents[1] / "examples"
SCHOOLS = str(EXAMPLES / "eight_schools.py:model"), "--data", str(EXAMPLES / "eight_schools.json")

pytestmark = pytest.mark.xdist_group("posterior-cli")


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("posterior") / "schools"
    with jax.numpy_rank_promotion("allow"), pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushforward.inference.ladder.CAPACITIES", ((2, 8, 1.0),))
        patch.setattr("pushforward.inference.posterior.EFFORTS", (Effort(256, 16, 4), Effort(256, 8, 3)))
        patch.setattr("pushforward.inference.ladder.MOST_STEPS", 300)
        main(["fit", *SCHOOLS, "--out", str(folder), "--seconds", "3600", "--draws", "2000"])
    return folder


@pytest.mark.slow
def test_a_fit_writes_draws_a_flow_and_a_report(fitted, capsys):
    result = json.loads((fitted / "result.json").read_text())
    assert result["description"] == "NumPyro model, 10 unconstrained parameters: mu, tau > 0, theta (8)"
    names = [row["name"] for row in result["summary"]]
    assert names == ["mu", "tau", *(f"theta[{index}]" for index in range(8))]
    assert {"posterior.nc", "flow.pf", "report.html", "draws.npz"} <= {path.name for path in fitted.iterdir()}
    assert "The posterior of eight_schools.py:model" in (fitted / "report.html").read_text()
    opened = pushforward.open_run(fitted)
    posterior = opened.posterior()
    assert 0 <= result["coverage"]["low"] <= posterior.coverage.outside <= result["coverage"]["high"] <= 1
    assert posterior.summary()["tau"].mean == pytest.approx(result["summary"][1]["mean"])
    assert pushforward.load(fitted).sample(jax.random.key(0), 3).dtype == np.float32
    assert posterior.flow.base.loc.dtype == np.float64
    code, out, err = run(capsys, "report", str(fitted))
    assert (code, err) == (0, "")
    assert out.strip().endswith("report.html")


@pytest.mark.slow
def test_chains_are_kept_and_gone_on_with(fitted, capsys):
    code, out, _ = run(capsys, "refine", str(fitted), "--ess", "1000000", "--seconds", "0.001")
    assert code == 0
    assert "not yet: 8 chains of 250 draws" in out
    code, out, _ = run(capsys, "refine", str(fitted), "--ess", "1000000", "--seconds", "0.001")
    assert code == 0
    assert "not yet: 8 chains of 500 draws" in out
    result = json.loads((fitted / "result.json").read_text())
    assert result["refined"]
    assert not result["trusted"]
    assert pushforward.open_run(fitted).posterior().chains.log_p.shape == (8, 500)


@pytest.mark.slow
def test_draws_as_files(fitted, tmp_path, capsys):
    from xarray import open_datatree

    for name in ("draws.npz", "draws.csv", "draws.nc"):
        path = tmp_path / name
        assert run(capsys, "sample", str(fitted), "-n", "30", "--out", str(path))[0] == 0
    with np.load(tmp_path / "draws.npz") as draws:
        assert draws["theta"].shape == (30, 8)
        assert np.all(draws["tau"] > 0)
    with (tmp_path / "draws.csv").open(newline="") as file:
        names, *rows = csv.reader(file)
    assert names[:3] == ["mu", "tau", "theta[0]"]
    assert len(rows) == 30
    assert dict(open_datatree(tmp_path / "draws.nc", engine="h5netcdf")["posterior"].sizes)["draw"] == 30
    path = tmp_path / "raw.npz"
    assert run(capsys, "sample", str(fitted), "-n", "5", "--out", str(path), "--resample", "none")[0] == 0
    code, _, err = run(capsys, "sample", str(fitted), "--out", "draws.txt")
    assert code == 2
    assert err == "pushforward: --out must end in .npz, .csv or .nc, got draws.txt\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothere.py:model"], "nothere.py is not there"),
        ([f"{EXAMPLES}/eight_schools.py:none"], "has no 'none'"),
        ([f"{EXAMPLES}/eight_schools.py:model"], "missing a required argument: 'y'"),
        ([*SCHOOLS, "--seconds", "0"], "--seconds must be positive"),
        ([*SCHOOLS, "--draws", "1"], "--draws must be 1000 or more"),
        ([SCHOOLS[0], "--data", "none.json"], "none.json is not there"),
        (["funnel", "--data", "none.json"], "--data is for models"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(arguments, message, tmp_path, capsys):
    folder = tmp_path / "run"
    code, _, err = run(capsys, "fit", *arguments, "--out", str(folder))
    assert code == 2
    assert message in err
    assert len(err.strip().splitlines()) == 1
    assert not folder.exists()


FAILING = """
from pushforward.targets import from_callback

def function(z):
    function.calls += 1
    if function.calls > 2:
        raise RuntimeError("no licence")
    return -0.5 * (z**2).sum(axis=1), -z

function.calls = 0
target = from_callback(function, 2)
"""


@pytest.mark.parametrize("flags", [("--seconds", "1"), ("--flow", "planar", "--steps", "10")])
def test_a_function_that_fails_in_the_run_leaves_nothing(flags, tmp_path, capsys):
    (tmp_path / "failing.py").write_text(FAILING)
    folder = tmp_path / "run"
    code, _, err = run(capsys, "fit", f"{tmp_path}/failing.py:target", *flags, "--out", str(folder))
    assert code == 2
    assert err.strip().splitlines()[-1] == "pushforward: function failed: RuntimeError: no licence"
    assert not folder.exists()


def test_a_run_that_is_gone_on_with_stays_when_it_fails(tmp_path, capsys):
    folder = tmp_path / "run"
    folder.mkdir()
    config = "experiment: posterior\ntarget: nothere.py:model\n"
    (folder / "config.yaml").write_text(config)
    code, _, err = run(capsys, "fit", "--resume", str(folder))
    assert code == 2
    assert "nothere.py is not there" in err
    assert (folder / "config.yaml").read_text() == config


@pytest.mark.slow
def test_one_flow_is_trained_on_a_model(tmp_path, capsys):
    one = "--flow", "planar", "--length", "2", "--steps", "20", "--restarts", "1", "--frames", "0", "--samples", "1000"
    for target in (SCHOOLS, (f"{EXAMPLES}/angle.py:target",)):
        folder = tmp_path / target[0].rpartition(":")[2]
        code, out, err = run(capsys, "fit", *target, *one, "--out", str(folder))
        assert code == 0, err
        assert json.loads((folder / "result.json").read_text())["free_energy"] is not None
        assert "report:" in out


def test_only_posteriors_are_refined(tmp_path, capsys):
    code, _, err = run(capsys, "refine", str(tmp_path))
    assert code == 2
    assert "is not a run" in err
    code, _, err = run(capsys, "refine", str(tmp_path), "--ess", "0")
    assert code == 2
    assert "--ess must be positive" in err


def test_what_goes_up_the_ladder():
    assert is_for_ladder(["mine.py:model", "--data", "data.json"])
    assert is_for_ladder(["funnel", "--dim", "10"])
    assert is_for_ladder(["mine:function", "--dim", "3", "--seconds", "5"])
    assert not is_for_ladder(["u1"])
    assert not is_for_ladder(["u4", "--seed", "1"])
    assert not is_for_ladder(["funnel", "--flow", "planar"])
    assert not is_for_ladder(["funnel", "--flow=planar"])
    assert not is_for_ladder(["mine:function", "--dim", "3", "--steps", "10"])
    assert is_for_ladder(["--out", "runs/mine", "mine.py:model"])
    assert is_for_ladder(["mine.py:model", "--help"])
    assert not is_for_ladder(["funnel", "--flow.length", "3"])
    assert not is_for_ladder(["--help"])
    assert not is_for_ladder([])


def test_a_folder_is_named_by_its_source():
    assert PosteriorConfig(target="examples/eight_schools.py:model").folder_name == "eight_schools-model"
    assert PosteriorConfig(target="funnel").folder_name == "funnel"


@pytest.mark.slow
def test_a_fit_overwrites_by_force_only(fitted, tmp_path, capsys):
    copy = tmp_path / "copy"
    shutil.copytree(fitted, copy)
    code, _, err = run(capsys, "fit", *SCHOOLS, "--out", str(copy))
    assert code == 2
    assert "holds another run" in err
