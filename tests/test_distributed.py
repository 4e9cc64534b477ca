"""Several processes that train one run, on this machine over gloo."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

from pushforward.experiments.runs import METRICS, open_run

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("distributed")]

DEADLINE = 300
WITHIN = 60
"""Seconds in which the death of a process must end the others: its heartbeat is missed for 30, and they must notice."""


def started(out, *arguments, processes=1, resume=False):
    """`train` in so many processes with one device each."""
    command = [sys.executable, "-m", "pushforward.cli", "train"]
    command += ["--resume", str(out)] if resume else ["moons", *map(str, arguments), "--out", str(out)]
    environment = os.environ | {"JAX_NUM_CPU_DEVICES": "1", "JAX_PLATFORMS": "cpu"}
    if processes == 1:
        return [subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    together = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--processes", str(processes)]
    return [
        subprocess.Popen(
            [*command, *together, "--process", str(index)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in range(processes)
    ]


def ended(processes):
    """The exit codes and outputs of processes."""
    told = [process.communicate(timeout=DEADLINE)[0] for process in processes]
    return [process.returncode for process in processes], told


def losses(folder):
    return np.array([json.loads(line)["loss"] for line in (folder / METRICS).read_text().splitlines()])


RUN = ("--flow", "maf", "--length", "2", "--steps", "200", "--validate-every", "50", "--batch-size", "64")


@pytest.mark.parametrize("restarts", [1, 2])
def test_two_processes_have_the_losses_of_one(tmp_path, restarts):
    for processes in (1, 2):
        codes, told = ended(started(tmp_path / str(processes), *RUN, "--restarts", restarts, processes=processes))
        assert codes == [0] * processes, told
        assert sum("report: " in each for each in told) == 1, "the first alone prints"
    np.testing.assert_allclose(losses(tmp_path / "1"), losses(tmp_path / "2"), rtol=1e-4)
    one, two = (open_run(tmp_path / name).result for name in ("1", "2"))
    assert one["test_log_likelihood"] == pytest.approx(two["test_log_likelihood"], abs=1e-3)
    assert one["best_step"] == two["best_step"]


def saved(out):
    """The checkpoints of a run."""
    return [path for path in (out / "checkpoints").glob("*") if path.name.isdigit()]


def test_a_process_that_dies_ends_the_others_and_the_run_goes_on_alone(tmp_path):
    out = tmp_path / "run"
    first, second = started(out, *RUN[:-6], "--steps", "100000", "--validate-every", "50", processes=2)
    deadline = time.monotonic() + DEADLINE
    while not (saved(out) and (out / METRICS).is_file() and (out / METRICS).read_text()):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.5)
    os.kill(second.pid, signal.SIGKILL)
    began = time.monotonic()
    told, _ = first.communicate(timeout=WITHIN)
    assert first.returncode != 0
    assert time.monotonic() - began < WITHIN
    assert "another process has gone" in told or "another task died" in told
    second.communicate()
    done = max(json.loads(line)["step"] for line in (out / METRICS).read_text().splitlines())
    (alone,) = started(out, resume=True)
    while losses(out).shape[0] * 50 <= done:
        assert alone.poll() is None, alone.stdout.read()
        time.sleep(0.5)
    alone.send_signal(signal.SIGINT)
    told, _ = alone.communicate(timeout=DEADLINE)
    assert "go on with" in told
    steps = [json.loads(line)["step"] for line in (out / METRICS).read_text().splitlines()]
    assert steps == list(range(50, steps[-1] + 1, 50)), "no record is there twice or missing"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--processes", "2"], "are for --distributed"),
        (["--distributed", "--processes", "2"], "give --coordinator, --processes and --process together"),
        (["--distributed", "--devices", "1"], "takes every device"),
        (["--distributed"], "the processes do not find each other"),
    ],
)
def test_what_cannot_be_joined_is_refused_in_a_line(tmp_path, arguments, complaint):
    (process,) = started(tmp_path / "run", *RUN, *arguments)
    told, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 2
    assert complaint in told.strip().splitlines()[-1]
    assert not (tmp_path / "run").exists()
