"""A sweep: its runs, what it makes of them, and how it goes on."""

import csv
import json
import signal
import subprocess
import sys
import time

import pytest

from pushforward.cli.exits import INTERRUPTED, USER_ERROR
from pushforward.cli.main import main
from pushforward.experiments.runs import open_run

QUICK = ("--steps", "60", "--samples", "1000", "--frames", "0", "--restarts", "2", "--batch-size", "32")


def sweep(*arguments):
    main(["sweep", *map(str, arguments)])


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as exit_:
        sweep(*arguments)
    assert exit_.value.code == USER_ERROR
    message = capsys.readouterr().err.strip().splitlines()
    assert len(message) == 1
    return message[0]


def rows(folder):
    with (folder / "sweep.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_every_run_is_trained_judged_and_compared(tmp_path, capsys):
    out = tmp_path / "u1"
    sweep("u1", "--over", "flow.length=1,2", "seed=0..1", *QUICK, "--out", out)
    found = rows(out)
    assert [(row["length"], row["seed"]) for row in found] == [("1", "0"), ("1", "1"), ("2", "0"), ("2", "1")]
    for row in found:
        run = open_run(out / "runs" / row["run"])
        assert float(row["kl"]) == run.result["kl"]
        assert (run.config.length, run.config.seed, run.config.steps) == (int(row["length"]), int(row["seed"]), 60)
    page = (out / "report.html").read_text()
    best = min(found, key=lambda row: float(row["kl"]))
    assert f"is at length {best['length']}, seed {best['seed']}." in page
    assert "Over seeds" in page
    shown = capsys.readouterr().out
    assert "report.html" in shown
    assert shown.index("length") < shown.index("KL(q‖p)")

    # Again: nothing is trained, and the table is the same.
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("result.json")}
    sweep("u1", "--over", "flow.length=1,2", "seed=0..1", *QUICK, "--out", out)
    assert rows(out) == found
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("result.json")} == before
    assert "holds another sweep" in refused(capsys, "u1", "--over", "seed=0..2", *QUICK, "--out", out)


@pytest.mark.slow
def test_archives_elsewhere_hold_what_folders_do(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    sweep("u1", "--over", "flow=planar,radial", *QUICK, "--out", here)
    sweep("u1", "--over", "flow=planar,radial", *QUICK, "--out", f"file://{there}")
    for row, other in zip(rows(here), rows(there)):
        assert {**row, "seconds": None} == {**other, "seconds": None}
    assert {path.name for path in (there / "runs").iterdir()} == {
        f"flow-{flow}.{end}" for flow in ("planar", "radial") for end in ("tar", "json")
    }
    assert json.loads((there / "runs" / "flow-planar.json").read_text())["kl"] == float(rows(there)[0]["kl"])


@pytest.mark.slow
def test_a_run_that_fails_is_told_and_the_others_are_trained(tmp_path, capsys):
    """A learning rate under which training diverges at its first steps."""
    out = tmp_path / "u1"
    with pytest.raises(SystemExit) as exit_:
        sweep("u1", "--over", "learning-rate=0.01,1e38", *QUICK, "--out", out)
    assert exit_.value.code == USER_ERROR
    told = capsys.readouterr()
    assert "1 of 2 runs failed, the first of them learning_rate-1e38: not finite at step" in told.err
    good, bad = rows(out)
    assert float(good["kl"]) > 0
    assert bad["kl"] == ""
    assert "not finite at step" in bad["note"]
    assert "not finite at step" in (out / "report.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["u1"], "give what to vary"),
        (["u1", "--over", "lenght=3"], "did you mean 'length'"),
        (["u1", "--over", "seed=0,1", "--ray", "a", "b"], "--ray takes one address"),
        (["u1", "--over", "seed=0,1", "--ray", "127.0.0.1:9"], "no Ray cluster answers at 127.0.0.1:9"),
        (["u1", "--over", "seed=0,1", "--ray", "--cpus-per-run", "0"], "--cpus-per-run must be 1 or more"),
        (["u7", "--over", "length=1,2"], "unknown target 'u7'"),
        (["nothing.csv", "--over", "seed=0,1"], "nothing.csv"),
        (["moons", "--over", "seed=0,1"], "a density and a data set: say which"),
        (["u1", "--over", "seed=0,1", "--out", "nowhere://x"], "nowhere://x cannot be used: Protocol not known"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_a_line(tmp_path, monkeypatch, capsys, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    assert complaint in refused(capsys, *arguments)
    assert not [path for path in tmp_path.rglob("runs") if any(path.iterdir())]


def test_a_folder_of_something_else_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("mine")
    assert "holds no sweep" in refused(capsys, "u1", "--over", "seed=0,1", "--out", tmp_path)
    assert "is there and holds no sweep" in refused(capsys, "u1", "--over", "seed=0,1", "--out", f"file://{tmp_path}")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


LONG = ("--restarts", "1", "--steps", "2000000")
FOREVER = {
    "sweep": ("sweep", "u1", "--over", "seed=0,1", "--length", "1", *LONG),
    "reproduce": (
        "reproduce",
        "rezende-mohamed-figure-3",
        "--targets",
        "u1",
        "--flows",
        "planar",
        "--lengths",
        "1",
        *LONG,
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("command", FOREVER)
def test_ctrl_c_keeps_a_checkpoint_and_says_how_to_go_on(tmp_path, command):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "pushforward.cli", *FOREVER[command], "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not [path for path in out.rglob("metrics.jsonl") if path.stat().st_size] and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    told, _ = process.communicate(timeout=120)
    assert process.returncode == INTERRUPTED
    assert "the same command goes on" in told
    assert "Traceback" not in told
    assert [path for path in out.rglob("checkpoints/*") if path.name.isdigit()]
