"""How JAX is to see the processor."""

import os


def use_all_cores() -> None:
    """Let JAX show every core as a device, so that ensembles train on all of them; call it before JAX is imported.

    What the user has set by `JAX_NUM_CPU_DEVICES` or `XLA_FLAGS` stays.
    """
    if "host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        os.environ.setdefault("JAX_NUM_CPU_DEVICES", str(cores))
