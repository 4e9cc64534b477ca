"""A folder that one process at a time writes to."""

import os
import signal
import socket
import subprocess
import sys

import pytest

from pushforward.errors import UserError
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.locks import locked
from pushforward.experiments.runs import open_run, start_run

HOLD = """
import sys, time
from pathlib import Path
from pushforward.experiments.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds the lock of `tmp_path / "run"`, where there is a run."""
    run = start_run(FitConfig(target="u1", steps=1), tmp_path / "run", force=False)
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(run.folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    yield process, run
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_run_in_use_is_refused_by_the_holder(holder):
    process, run = holder
    who = f"process {process.pid} on {socket.gethostname()}"
    for refused in (run.train, lambda: start_run(run.config, run.folder, force=True)):
        with pytest.raises(UserError, match=f"in use by {who}"):
            refused()
    assert open_run(run.folder).config == run.config


def test_a_process_that_died_holds_nothing(holder):
    process, run = holder
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with locked(run.folder):
        assert f"process {os.getpid()} " in (run.folder / ".holder").read_text()
    assert not (run.folder / ".holder").exists()


def test_a_run_that_was_stopped_while_it_was_made_is_made_again(tmp_path):
    (tmp_path / "metrics.jsonl").touch()
    (tmp_path / ".lock").touch()
    assert start_run(FitConfig(target="u1", steps=1), tmp_path, force=False).config.steps == 1


def test_a_run_that_is_withdrawn_leaves_nothing(tmp_path):
    run = start_run(FitConfig(target="u1", steps=1), tmp_path / "run", force=False)
    run.withdraw()
    assert not run.folder.exists()
