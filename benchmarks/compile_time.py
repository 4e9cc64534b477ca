"""From the call of a training loop to its first step done, against the number of planar layers.

Tracing, lowering and compiling, each time in a fresh process and without a compilation cache; imports are not counted.
The layers are scanned, so the time should hardly grow with their number. Sizes and contenders take turns.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import tyro

from common import Row, at_most, flowjax_fit, installed, pushforward_fit, report, spread, worker

LENGTHS = (8, 32, 128)
BATCH = 256
REQUIRED_RATIO = 1.5

FITS: dict[str, Callable[..., Any]] = {"pushforward": pushforward_fit, "flowjax": flowjax_fit}


def seconds_to_first_step(package: str, length: int) -> tuple[float, float]:
    """All of it, and the part that XLA compiled."""
    import jax

    compiling: list[float] = []

    def listen(event: str, duration: float, **_: Any) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            compiling.append(duration)

    fit = FITS[package](length, BATCH)
    jax.monitoring.register_event_duration_secs_listener(listen)
    start = time.perf_counter()
    fit(steps=1)
    return time.perf_counter() - start, sum(compiling)


def main(repeats: int = 5) -> None:
    """Measure compile time.

    Args:
        repeats: fresh processes of each contender and length.
    """
    cases = [(package, length) for package in FITS if installed(package) for length in LENGTHS]
    seconds: dict[tuple[str, int], list[tuple[float, float]]] = {case: [] for case in cases}
    with worker(reused=False) as call:
        for repeat in range(repeats):
            for case in cases:
                seconds[case].append(call(seconds_to_first_step, *case))
                print(f"repeat {repeat}: {case[0]}, K = {case[1]}: {seconds[case][-1][0]:.2f} s")

    rows: list[Row] = []
    ratios: dict[str, float] = {}
    for package, length in cases:
        pairs = zip(seconds[package, length], seconds[package, LENGTHS[0]])
        ratios[package] = statistics.median(this[0] / first[0] for this, first in pairs)
        low, middle, high = spread([total for total, _ in seconds[package, length]])
        rows.append(
            {
                "contender": package,
                "K": length,
                "s, median": middle,
                "lowest": low,
                "highest": high,
                "of it in XLA": statistics.median(compiling for _, compiling in seconds[package, length]),
                f"K = {LENGTHS[0]} takes less by": ratios[package],
            }
        )
    text = f"pushforward, K = {LENGTHS[-1]} over K = {LENGTHS[0]}, at most {REQUIRED_RATIO}"
    report(
        "compile_time",
        f"Time to the first training step: planar flow, batch {BATCH}",
        rows,
        [at_most(text, ratios.get("pushforward"), REQUIRED_RATIO)],
    )


if __name__ == "__main__":
    tyro.cli(main)
