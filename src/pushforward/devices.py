"""Which JAX may compute here, and how it is to see the processor and its memory."""

import ctypes
import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

from pushforward.errors import UserError

__all__ = [
    "compiled_for_one_call",
    "double_precision",
    "has_wrong_sums",
    "memory_kept",
    "one_blas_thread",
    "own_cores",
    "refuse_wrong_sums",
    "use_all_cores",
    "use_cores",
    "without_choices",
]

OVERRIDE = "PUSHFORWARD_ANY_JAX"

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Numbers by which mallopt(3) knows what it sets."""

OF_THE_USER = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")
LARGEST_KEPT = 2**25
"""Bytes of a block above which glibc gives it back to the system at once."""

_chosen: dict[str, str] = {}
"""Variables of the environment that `use_cores` has set."""


def use_all_cores() -> None:
    """Let JAX show every core as a device, so that ensembles train on all of them, as the command line does.

    Call it before JAX computes anything. On another processor than a CPU it has no effect.

    Raises:
        UserError: JAX has computed already, on fewer devices.

    Example:
        >>> import pushforward
        >>> pushforward.use_all_cores()
    """
    use_cores(own_cores())
    devices = os.environ.get("JAX_NUM_CPU_DEVICES", "")
    if devices.isdigit() and "jax" in sys.modules:
        _tell_jax(int(devices))


def own_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_cores(cores: int) -> None:
    """Let JAX show so many cores, each as a device, and have no more threads; call it before NumPy and JAX are loaded.

    Linear algebra, for which JAX calls SciPy's OpenBLAS, gets one thread: the threads that OpenBLAS keeps wait for
    their next task in a busy loop, on the cores that the devices compute on. What the user has set by
    `JAX_NUM_CPU_DEVICES`, `NPROC`, `OPENBLAS_NUM_THREADS` or `XLA_FLAGS` stays.

    Args:
        cores: of this process.
    """
    _choose("OPENBLAS_NUM_THREADS", 1)
    if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        _choose("JAX_NUM_CPU_DEVICES", cores)
        devices = os.environ["JAX_NUM_CPU_DEVICES"]
        if devices.isdigit():
            _choose("NPROC", max(cores, int(devices)))


def _tell_jax(devices: int) -> None:
    """What the environment says, which JAX reads only when it is imported."""
    import jax

    try:
        jax.config.update("jax_num_cpu_devices", devices)
    except RuntimeError:
        if len(jax.devices("cpu")) < devices:
            raise UserError("use_all_cores comes too late: JAX has computed already") from None


def _choose(name: str, value: int) -> None:
    if name not in os.environ:
        os.environ[name] = _chosen[name] = str(value)


@contextmanager
def without_choices() -> Iterator[None]:
    """Within it, the environment is without what `use_cores` has set: for processes with other cores than this one."""
    for name in _chosen:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.update(_chosen)


def refuse_wrong_sums() -> None:
    """Refuse a JAX whose programs are wrong on this machine.

    On a CPU, JAX 0.9.0 to 0.10.2 compiles sums over more than 16,384 rows to wrong values, in silence (JAX issue
    39103).

    Raises:
        UserError: such a version, on a CPU. `PUSHFORWARD_ANY_JAX=1` in the environment overrides it.
    """
    if not has_wrong_sums(version("jax")) or os.environ.get(OVERRIDE):
        return
    import jax

    if jax.default_backend() == "cpu":
        newest = "'jax>=0.11.2'" if sys.version_info >= (3, 12) else "'jax>=0.8.3,<0.9'"
        raise UserError(
            f"JAX {version('jax')} computes wrong sums on a CPU (JAX issue 39103); "
            f"pip install {newest}, or set {OVERRIDE}=1 and check every number"
        )


def has_wrong_sums(release: str) -> bool:
    """Whether this version of JAX is one of 0.9.0 to 0.10.2."""
    return (0, 9) <= tuple(int(part) for part in release.split(".")[:2]) < (0, 11)


def compiled_for_one_call() -> dict[str, Any] | None:
    """Options of `jax.jit` for a program that is called once: on a CPU it is compiled in a sixth of the time."""
    import jax

    # JAX 0.8 crashes by them.
    fast = jax.default_backend() == "cpu" and not version("jax").startswith("0.8.")
    return {"xla_backend_optimization_level": 0} if fast else None


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Within it, linear algebra has one thread, as `use_cores` says, for a program that did not begin with that."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        yield


@contextmanager
def memory_kept() -> Iterator[None]:
    """Within it, the process keeps the memory that it frees, for the next that asks; free memory goes back at its end.

    glibc gives large blocks back to the system at once. XLA frees the temporaries of a program when it ends, and asks
    for as many when it is called again; the system clears every page of them anew, which can take a third of the time.
    Other allocators, and settings of the user's own, are left alone.
    """
    if platform.libc_ver()[0] != "glibc" or any(name in os.environ for name in OF_THE_USER):
        yield
        return
    libc = ctypes.CDLL(None)
    # Older versions take no more than the largest that is kept anyway.
    if not libc.mallopt(MMAP_THRESHOLD, 2**31 - 1):
        libc.mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
    libc.mallopt(TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        libc.mallopt(MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(TRIM_THRESHOLD, 2 * LARGEST_KEPT)
        libc.malloc_trim(0)


@contextmanager
def double_precision() -> Iterator[None]:
    """Within it, JAX computes in double precision on a CPU; elsewhere as the user has set it.

    It is set for the process and not for the thread, since callbacks to the host run in threads of JAX's own.
    """
    import jax

    if jax.default_backend() != "cpu" or jax.config.jax_enable_x64:
        yield
        return
    jax.config.update("jax_enable_x64", True)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", False)
