"""Compiled programs: kept on disk from one process to the next, and dropped before they fill a process."""

import hashlib
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path

from platformdirs import user_cache_path

__all__ = ["check_kept_programs", "forget_programs", "keep_programs", "memory_maps"]

LIMIT_OF_MAPS = Path("/proc/sys/vm/max_map_count")
FOLDER, SWITCH = "JAX_COMPILATION_CACHE_DIR", "JAX_ENABLE_COMPILATION_CACHE"
LARGEST = 2**30
"""Bytes of the folder of programs, beyond which those that were not used for the longest time go."""


def keep_programs() -> None:
    """Let JAX keep every compiled program in the user's cache folder; call it before JAX is imported.

    A process with a program that another has compiled reads it instead. A folder holds those of one version of jaxlib
    and one kind of processor, at most 1 GiB, and may be deleted. What the user has set by `JAX_COMPILATION_CACHE_DIR`
    or `JAX_ENABLE_COMPILATION_CACHE` stays, and where JAX takes back no program that it has kept, none is kept
    (`check_kept_programs`).
    """
    folder = _folder()
    if FOLDER in os.environ or SWITCH in os.environ or _rejects(folder).exists():
        return
    os.environ[FOLDER] = str(folder)
    os.environ.setdefault("JAX_COMPILATION_CACHE_MAX_SIZE", str(LARGEST))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def check_kept_programs() -> str | None:
    """What is to be said where JAX compiles a program again that a process before has kept (JAX issue 38445).

    No program is kept from then on.
    """
    folder = _folder()
    jax = sys.modules.get("jax")
    if jax is None or jax.config.jax_compilation_cache_dir != str(folder) or not os.access(folder, os.W_OK):
        return None
    hits = []

    def listen(event: str, **_: object) -> None:
        if event == "/jax/compilation_cache/cache_hits":
            hits.append(event)

    def pushforward_kept(x: float) -> float:
        return 2 * x + 1

    before = set(folder.glob("jit_pushforward_kept-*-cache"))
    jax.monitoring.register_event_listener(listen)
    try:
        jax.jit(pushforward_kept)(0.0)
    finally:
        jax.monitoring.unregister_event_listener(listen)
    if hits or set(folder.glob("jit_pushforward_kept-*-cache")) != before:
        return None
    _rejects(folder).touch()
    return (
        f"JAX {version('jax')} compiles the programs that it has kept again on this processor (JAX issue 38445): "
        "none is kept from now on"
    )


def _folder() -> Path:
    """Of the programs of this jaxlib on this kind of processor."""
    processor = hashlib.sha256(_processor().encode()).hexdigest()[:12]
    return user_cache_path("pushforward") / "programs" / f"jaxlib-{version('jaxlib')}-{processor}"


def _processor() -> str:
    """The machine, and where Linux tells them the features of its processor."""
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.is_file() else []
    features = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {platform.processor()} {features}"


def _rejects(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}-rejected")


def forget_programs() -> None:
    """Drop compiled programs once the process holds half of the memory maps that Linux allows it.

    Each program holds some; a process that fits some dozens of targets one after another would end with LLVM's "Cannot
    allocate memory" and a crash. Elsewhere than on Linux there is no such limit.
    """
    if LIMIT_OF_MAPS.is_file() and 2 * memory_maps() > int(LIMIT_OF_MAPS.read_text()):
        import jax

        jax.clear_caches()


def memory_maps() -> int:
    """How many memory maps this process holds (Linux)."""
    with open("/proc/self/maps") as maps:
        return sum(1 for _ in maps)
