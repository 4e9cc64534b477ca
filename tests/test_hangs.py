"""No run hangs: batched linear algebra and two or more restarts, on one, two and four devices.

JAX 0.10.0 to 0.11.0 let devices that compute at once wait for each other's threads for ever. Every command runs through
the command line, in a process of its own, which is killed at its deadline.
"""

import os
import subprocess
import sys

import pytest

from pushforward.flows import RECIPES

pytestmark = pytest.mark.slow

DEADLINE = 600

long = pytest.mark.long

DENSITIES = """
import jax.numpy as jnp
import numpy as np

x = np.linspace(0, 1, 15)
y = np.sin(6 * x)


def covariance(z):
    amplitude, length, noise = jnp.exp(jnp.clip(z, -6, 6))
    distances = (x[:, None] - x[None, :]) ** 2
    return amplitude * jnp.exp(-0.5 * distances / length**2) + (1e-3 + noise) * jnp.eye(15)


def cholesky(z):
    factor = jnp.linalg.cholesky(covariance(z))
    white = jnp.linalg.solve(factor, jnp.asarray(y, z.dtype))
    return -0.5 * jnp.sum(white**2) - jnp.sum(jnp.log(jnp.diag(factor))) - 0.5 * jnp.sum(z**2)


def solve_and_slogdet(z):
    K = covariance(z)
    data = jnp.asarray(y, z.dtype)
    return -0.5 * data @ jnp.linalg.solve(K, data) - 0.5 * jnp.linalg.slogdet(K)[1] - 0.5 * jnp.sum(z**2)


def eigh(z):
    values = jnp.linalg.eigh(covariance(z)).eigenvalues
    return -0.5 * jnp.sum(jnp.log(values)) - 0.5 * jnp.sum(z**2)


def svd(z):
    values = jnp.linalg.svd(covariance(z), compute_uv=False)
    return -0.5 * jnp.sum(jnp.log(values)) - 0.5 * jnp.sum(z**2)
"""

MANY = """
import shlex, sys
from pushforward.cli import main

for line in sys.stdin.read().splitlines():
    print("started:", line, flush=True)
    main(shlex.split(line))
    print("ended:", line, flush=True)
"""


def run_all(folder, commands, **environment):
    """Run commands one after the other in one process, and say which one had not ended at the deadline."""
    kept = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")}
    lines = [f"{command} --out runs/{index}" for index, command in enumerate(commands)]
    try:
        done = subprocess.run(
            [sys.executable, "-c", MANY],
            input="\n".join(lines),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            cwd=folder,
            env=kept | environment,
        )
    except subprocess.TimeoutExpired as expired:
        said = (expired.stdout or b"").decode()
        raise AssertionError(f"not done after {DEADLINE} s: {said[-2000:]}") from None
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    for line in lines:
        assert f"ended: {line}" in done.stdout


SMALL = "--samples 4096 --frames 2 --steps 200"


@pytest.mark.parametrize("devices", [pytest.param("1", marks=long), "2", pytest.param("4", marks=long)])
def test_every_routine_of_lapack(tmp_path, devices):
    (tmp_path / "densities.py").write_text(DENSITIES)
    run_all(
        tmp_path,
        [
            f"fit densities:{name} --dim 3 --length 2 --restarts 4 {SMALL}"
            for name in ("cholesky", "solve_and_slogdet", "eigh", "svd")
        ],
        JAX_NUM_CPU_DEVICES=devices,
    )


@long
def test_the_residual_flow(tmp_path):
    """Whose log-determinants are those of batches of Jacobians."""
    run_all(
        tmp_path,
        [
            f"fit u2 --flow residual --length 4 --restarts 2 {SMALL}",
            "train moons --size 2000 --flow residual --length 2 --restarts 4 --steps 200",
        ],
        JAX_NUM_CPU_DEVICES="2",
    )


@long
def test_every_family(tmp_path):
    vectors = [name for name in RECIPES if name != "glow"]
    run_all(
        tmp_path,
        [f"fit u2 --flow {name} --length 1 --restarts 2 {SMALL}" for name in vectors],
        JAX_NUM_CPU_DEVICES="2",
    )


@long
def test_the_smallest_study_of_bounds(tmp_path):
    run_all(tmp_path, ["reproduce vp-bound --budget smoke"], JAX_NUM_CPU_DEVICES="2")
