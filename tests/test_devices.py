"""Which JAX may compute, and how many threads its devices get."""

import os
import subprocess
import sys
from importlib.metadata import version
from itertools import pairwise

import jax
import jax.numpy as jnp
import pytest
from optax import sgd

from pushforward import devices, flows
from pushforward.devices import has_wrong_sums, memory_maps
from pushforward.studies.base import write_cell
from pushforward.training import ensemble, fit


@pytest.mark.parametrize(
    ("release", "wrong"),
    [
        *((good, False) for good in ("0.8.3", "0.11.0", "0.11.2.dev20261001", "0.12.0.1", "1.0", version("jax"))),
        *((bad, True) for bad in ("0.9.0", "0.9.0.1", "0.9.2", "0.10.0rc1", "0.10.2")),
    ],
)
def test_versions_that_compile_wrong_sums(release, wrong):
    assert has_wrong_sums(release) == wrong


PROGRAM = """
import os
from pushforward.devices import use_all_cores
use_all_cores()
print(os.environ["JAX_NUM_CPU_DEVICES"], os.environ["NPROC"])
"""


@pytest.mark.parametrize(
    ("given", "devices", "threads_at_least"),
    [({"JAX_NUM_CPU_DEVICES": "4"}, "4", 8), ({"JAX_NUM_CPU_DEVICES": "1", "NPROC": "3"}, "1", 3), ({}, None, 2)],
)
def test_every_device_has_threads_for_its_own_tasks(given, devices, threads_at_least):
    """What the user has set stays."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("JAX_NUM_CPU_DEVICES", "NPROC", "XLA_FLAGS")
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment | given, capture_output=True, text=True, check=True
    )
    shown, threads = done.stdout.split()
    assert devices in (None, shown)
    assert int(threads) >= threads_at_least
    assert given.get("NPROC", threads) == threads


@pytest.mark.long
@pytest.mark.skipif(not devices.LIMIT_OF_MAPS.is_file(), reason="memory maps are counted on Linux only")
def test_a_study_of_200_unlike_cells_does_not_run_out_of_memory_maps(tmp_path, monkeypatch):
    """The limit is set to 100 maps above what is there."""
    jax.clear_caches()
    most = memory_maps() + 100
    limit = tmp_path / "max_map_count"
    limit.write_text(str(2 * most))
    monkeypatch.setattr(devices, "LIMIT_OF_MAPS", limit)
    counts = []
    for cell in range(200):
        total = jax.jit(lambda x, cell=cell: jnp.sum(jnp.sin(cell * x @ x.T)))(jnp.ones((2 + cell, 3)))
        write_cell(tmp_path / f"{cell}.json", {"total": float(total), "settings": {}})
        counts.append(memory_maps())
    assert max(counts) <= most
    assert any(after < before for before, after in pairwise(counts))


def test_a_fit_drops_programs_once_the_process_holds_half_of_the_memory_maps(monkeypatch):
    """Some dozens of fits in one process of a user would else end in a crash."""
    kept = jax.jit(lambda x: x + 1)
    kept(1.0)
    models = ensemble(lambda key: flows.planar(key, 2, 1), jax.random.key(0), 1)

    def trained():
        fit(
            models,
            lambda flow, key, step: jnp.sum(flow.base.loc**2),
            key=jax.random.key(0),
            steps=1,
            optimizer=sgd(0.1),
        )

    trained()
    assert kept._cache_size() == 1
    monkeypatch.setattr(devices, "memory_maps", lambda: 10**9)
    trained()
    assert kept._cache_size() == 0
