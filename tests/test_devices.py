"""Which JAX may compute, and how many threads its devices get."""

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from pushforward.devices import has_wrong_sums


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
