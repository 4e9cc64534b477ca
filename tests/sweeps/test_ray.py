"""Sweeps on a Ray cluster of two nodes: a worker that is killed, a head that is, and what they cost."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time

import pytest

from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.runs import METRICS, open_run
from pushforward.sweeps.grid import axes_of, runs_of

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

DEADLINE = 400
RUN = ("--restarts", "1", "--samples", "1000", "--frames", "0", "--batch-size", "64", "--length", "8")


MACHINES = """
import sys
from ray.cluster_utils import Cluster

cores = [int(word) for word in sys.argv[1:]]
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": cores[0], "include_dashboard": False})
for each in cores[1:]:
    cluster.add_node(num_cpus=each)
cluster.wait_for_nodes()
print("address", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


class Machines:
    """A cluster in a process of its own: Ray forks, which a process in which JAX runs must not."""

    def __init__(self, *cores):
        self.process = subprocess.Popen(
            [sys.executable, "-c", MACHINES, *map(str, cores)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        lines = iter(self.process.stdout.readline, "")
        self.address = next(line.split()[1] for line in lines if line.startswith("address"))

    def shutdown(self):
        self.process.communicate(timeout=DEADLINE)


@pytest.fixture
def cluster():
    """A head and another node, of one core each."""
    machines = Machines(1, 1)
    yield machines
    machines.shutdown()


def started(out, address, steps, seeds="0..3"):
    """A sweep over seeds on a cluster, in a process of its own."""
    command = [sys.executable, "-m", "pushforward.cli", "sweep", "u1", "--over", f"seed={seeds}", "--steps", str(steps)]
    return subprocess.Popen(
        [*command, *RUN, "--out", str(out), "--ray", address],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"RAY_gcs_rpc_server_reconnect_timeout_s": "5"},
    )


def until(condition, process):
    """Wait for something that becomes true while a process runs."""
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return found


def under_way(out):
    """A run with a checkpoint that a process of the cluster trains: its folder, that process, and its newest step."""
    for holder in out.glob("runs/*/.holder"):
        steps = [int(path.name) for path in (holder.parent / "checkpoints").glob("*") if path.name.isdigit()]
        if steps and (found := re.match(r"process (\d+) on", holder.read_text())):
            return holder.parent, int(found[1]), max(steps)
    return None


def records(folder):
    return [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]


def test_a_worker_that_is_killed_costs_the_steps_since_its_checkpoint(cluster, tmp_path):
    out, steps = tmp_path / "sweep", 400_000
    process = started(out, cluster.address, steps)
    folder, worker, step = until(lambda: under_way(out), process)
    before = [record for record in records(folder) if record["step"] <= step]
    os.kill(worker, signal.SIGKILL)
    told, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 0, told
    assert before
    assert records(folder)[: len(before)] == before, "what was before the checkpoint is trained once"
    for name in runs_of(FitConfig(target="u1"), axes_of(["seed=0..3"], FitConfig(target="u1"))):
        run = open_run(out / "runs" / name)
        assert run.finished
        assert run.metrics[-1]["step"] == steps
    assert (out / "report.html").is_file()


@pytest.mark.long
def test_a_cluster_that_is_gone_ends_the_sweep_which_goes_on_with_another(cluster, tmp_path):
    out, steps = tmp_path / "sweep", 400_000
    process = started(out, cluster.address, steps, "0,1")
    folder, _, step = until(lambda: under_way(out), process)
    before = [record for record in records(folder) if record["step"] <= step]
    cluster.shutdown()
    told, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode != 0
    assert "the same command goes on" in told or "cluster" in told
    another = Machines(2)
    again = started(out, another.address, steps, "0,1")
    told, _ = again.communicate(timeout=DEADLINE)
    another.shutdown()
    assert again.returncode == 0, told
    assert records(folder)[: len(before)] == before
    assert open_run(folder).finished


STUDIES = (
    "rezende-mohamed-figure-3 --targets u1 u2 --flows planar --lengths 1 --restarts 1 --steps 40",
    "density-of-states-grid --manifolds segment-uniform --dims 2 --noises normal --variances 0.01 "
    "--flows nice real-nvp --seeds 1 --steps 4 --width 4",
)


@pytest.mark.long
@pytest.mark.parametrize("study", STUDIES)
def test_a_study_on_a_cluster_is_that_of_one_process(cluster, tmp_path, study):
    """Cells that are runs, and cells that are files."""
    words = shlex.split(study)
    for name, ray_words in (("here", ()), ("there", ("--ray", cluster.address))):
        command = [sys.executable, "-m", "pushforward.cli", "reproduce", *words, "--out", str(tmp_path / name)]
        subprocess.run([*command, *ray_words], check=True, timeout=DEADLINE, capture_output=True)
    here, there = (
        [{**row, "seconds": 0, "steps_per_second": 0} for row in json.loads((tmp_path / name / file).read_text())]
        for name in ("here", "there")
        for file in (f"{words[0]}.json",)
    )
    assert len(here) == 2
    for row, other in zip(here, there):
        assert row.keys() == other.keys()
        for key, value in row.items():
            if isinstance(value, float):
                assert other[key] == pytest.approx(value, rel=1e-3, abs=1e-4), key


CORES = """
from pushforward.devices import use_cores
use_cores(2)
import jax
from pushforward.experiments.cluster import Cluster, connected
jax.numpy.zeros(1)
told = "import jax; from pushforward.errors import UserError; raise UserError(str(jax.device_count()))"
for cpus in (1, 2):
    with connected(Cluster(cpus=cpus)) as make:
        print(dict(make({"devices": ("builtins:exec", (told,))})))
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="a call is to have two cores")
def test_a_call_has_its_own_cores_and_not_those_of_the_command():
    """On a cluster that the command made itself, whose processes inherit its environment."""
    ours = ("JAX_NUM_CPU_DEVICES", "NPROC", "XLA_FLAGS", "RAY_ADDRESS")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    done = subprocess.run([sys.executable, "-c", CORES], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["{'devices': '1'}", "{'devices': '2'}"]
    assert "fork" not in done.stderr
