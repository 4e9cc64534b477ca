"""Every example is a target that can be fitted."""

import json
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
import yaml

from pushforward import inference, targets
from pushforward.experiments.fit.config import FitConfig
from pushforward.inference import simulation
from pushforward.sweeps.grid import axes_of, runs_of

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = {
    "eight_schools.py:model": 10,
    "logistic_regression.py:model": 4,
    "hierarchy.py:model": 7,
    "hidden_markov_chain.py:model": 5,
    "angle.py:target": 2,
    "host_function.py:target": 3,
    "hierarchy_pymc.py:model": 7,
}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def load(name):
    if "pymc" in name and sys.version_info < (3, 12):
        pytest.skip("PyMC 6 needs Python 3.12")
    data = EXAMPLES / name.replace(".py:model", ".json")
    return targets.from_source(str(EXAMPLES / name), data=data if data.is_file() else None)


def test_each_file_is_named():
    simulators = {"two_moons.py"}
    assert {name.partition(":")[0] for name in NAMES} | simulators == {path.name for path in EXAMPLES.glob("*.py")}


def test_the_simulator_is_one():
    module = str(EXAMPLES / "two_moons.py")
    given = simulation.prior(targets.sources.named_object(module, "prior"))
    simulator = simulation.Simulator(targets.sources.named_object(module, "simulator"))
    seen = simulation.simulate(given, simulator, jax.random.key(0), 200)
    x = json.loads((EXAMPLES / "two_moons.json").read_text())
    assert seen.x.shape == (200, len(x))
    assert np.abs(seen.x[:, 1]).max() < 1.6


@pytest.mark.parametrize("name", NAMES)
def test_it_is_a_target(name):
    target = load(name)
    assert target.dim == NAMES[name]
    with jax.enable_x64(True):
        draws = 0.1 * jax.random.normal(jax.random.key(0), (4, target.dim))
        assert target.usable(draws).all()
        parameters = target.constrain(draws)
        back = target.unconstrain({each.name: parameters[each.name] for each in target.parameters})
        np.testing.assert_allclose(back, draws, atol=1e-9)


@pytest.mark.parametrize(
    "name",
    [
        "host_function.py:target",
        pytest.param("angle.py:target", marks=pytest.mark.long),
        pytest.param("logistic_regression.py:model", marks=pytest.mark.long),
    ],
)
def test_it_is_fitted(name):
    posterior = inference.fit(load(name), jax.random.key(0), seconds=4, draws=2000, quiet=True)
    assert np.isfinite(posterior.best.elbo)
    assert posterior.to_arviz()["posterior"].sizes["chain"] == 1


CLUSTER = EXAMPLES / "cluster"


@pytest.mark.parametrize("script", sorted(CLUSTER.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_for_slurm_are_sound(script):
    subprocess.run(["bash", "-n", script], check=True)


def test_the_job_for_kubernetes_is_a_sweep():
    """Its entry point is a command that the command line takes; no cluster runs it here."""
    (job,) = yaml.safe_load_all((CLUSTER / "kuberay_sweep.yaml").read_text())
    assert (job["kind"], job["apiVersion"]) == ("RayJob", "ray.io/v1")
    program, *words = shlex.split(job["spec"]["entrypoint"])
    assert program == "pushforward"
    config = FitConfig(target=words[1])
    over = words[words.index("--over") + 1 : words.index("--ray")]
    assert len(runs_of(config, axes_of(over, config))) == 20
    groups = job["spec"]["rayClusterSpec"]
    for group in (groups["headGroupSpec"], *groups["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        assert container["image"] == "registry.example.com/pushforward:latest"
