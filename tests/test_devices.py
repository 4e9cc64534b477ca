"""Which JAX may compute, and how many threads its devices get."""

import os
import platform
import subprocess
import sys
from importlib.metadata import version

import pytest

from pushforward.devices import OF_THE_USER, has_wrong_sums


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
from pushforward.devices import use_cores
use_cores(2)
import jax, scipy.linalg
from threadpoolctl import threadpool_info
threads = {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}
print(len(jax.devices()), *threads)
"""
SET = ("JAX_NUM_CPU_DEVICES", "NPROC", "XLA_FLAGS", "OPENBLAS_NUM_THREADS")


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core OpenBLAS has one thread anyway")
@pytest.mark.parametrize(
    ("given", "devices", "threads"),
    [({}, 2, 1), ({"JAX_NUM_CPU_DEVICES": "4"}, 4, 1), ({"OPENBLAS_NUM_THREADS": "2"}, 2, 2)],
)
def test_a_device_a_core_and_one_thread_for_linear_algebra(given, devices, threads):
    """What the user has set stays."""
    environment = {name: value for name, value in os.environ.items() if name not in SET}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment | given, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(devices), str(threads)]


AFTER_IMPORT = """
import jax
import pushforward
{before}
pushforward.use_all_cores()
print(len(jax.devices()))
"""


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core is what there is anyway")
def test_all_cores_from_python():
    """Also where JAX is imported already; not where it has computed, which is said."""
    environment = {name: value for name, value in os.environ.items() if name not in SET}

    def run(before):
        command = [sys.executable, "-c", AFTER_IMPORT.format(before=before)]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    early, late = run(""), run("jax.numpy.zeros(3)")
    assert int(early.stdout) == len(os.sched_getaffinity(0))
    assert "use_all_cores comes too late" in late.stderr


def test_processes_with_other_cores_are_not_bound_by_what_was_chosen():
    """What the user has set they inherit."""
    program = """
import os
from pushforward.devices import use_cores, without_choices
use_cores(2)
names = "JAX_NUM_CPU_DEVICES", "NPROC", "OPENBLAS_NUM_THREADS"
with without_choices():
    print(*(os.environ.get(name) for name in names))
print(*(os.environ.get(name) for name in names))
"""
    environment = {name: value for name, value in os.environ.items() if name not in SET} | {"NPROC": "3"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["None 3 None", "2 3 1"]


PAGES = """
import resource
from pushforward.devices import memory_kept

def faults():
    "Pages that the system clears while four blocks of 64 MiB are made, one after another."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        b"x" * 2**26
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])

outside, before = faults(), resident()
with memory_kept():
    faults()
    inside, kept = faults(), resident()
print(outside, inside, faults(), kept - before, resident() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator than glibc's")
@pytest.mark.parametrize("of_the_user", [False, True])
def test_freed_memory_is_kept_within_a_fit_and_given_back_after_it(of_the_user):
    environment = {name: value for name, value in os.environ.items() if name not in OF_THE_USER}
    if of_the_user:
        environment["MALLOC_TRIM_THRESHOLD_"] = "131072"
    command = [sys.executable, "-c", PAGES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    outside, inside, after, kept, left = map(int, done.stdout.split())
    block = 2**26 // os.sysconf("SC_PAGE_SIZE")
    assert (inside < outside / 16) is not of_the_user
    assert (kept > block / 2) is not of_the_user
    assert after > outside / 2
    assert left < block / 4
