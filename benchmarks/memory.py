"""Peak memory of a training loop against the number of steps, of planar layers and of samples in a batch.

"Temporaries" is what XLA reserves for the loop besides parameters and optimiser, read off the compiled program: exact,
and the same on every run. "Peak RSS" is the most that a fresh process held by the end of the training: Python, JAX and
the compiler included, most of which has nothing to do with the flow.
"""

import resource
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any
from unittest import mock

import tyro

from common import Row, at_most, pushforward_fit, report, worker

STEPS = (1000, 4000)
LENGTHS = (8, 16, 32, 64)
BATCHES = (256, 512, 1024)
TOLERANCE = 1.25
KIB = 1024


def temporaries(fit: Callable[..., Any]) -> int:
    """Bytes; the loop of a `training.fit` is caught on its way from the function that builds it.

    Args:
        fit: it, with all arguments but `steps`.
    """
    import jax

    from pushforward.training.members import Devices

    compile = Devices.compile
    sizes: list[int] = []

    def measured(advance: Callable[..., Any], *arguments: Any) -> Any:
        if not sizes:
            program = jax.jit(advance, donate_argnums=0).lower(*arguments).compile()
            sizes.append(program.memory_analysis().temp_size_in_bytes)
        return advance(*arguments)

    with mock.patch.object(Devices, "compile", lambda *given, **counts: partial(measured, compile(*given, **counts))):
        fit(steps=1)
    return sizes[0]


def planar_temporaries(length: int, batch: int) -> int:
    """Bytes."""
    return temporaries(pushforward_fit(length, batch))


def peak_rss(steps: int, length: int, batch: int) -> float:
    """MiB."""
    pushforward_fit(length, batch)(steps=steps)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB  # Linux counts in KiB


def main() -> None:
    """Measure memory."""
    rows: list[Row] = []
    with worker(reused=False) as call:
        for length, batch in product(LENGTHS, BATCHES):
            size = call(planar_temporaries, length, batch)
            row: Row = {
                "K": length,
                "batch": batch,
                "temporaries, KiB": size / KIB,
                "bytes / (K x batch)": size / (length * batch),
            }
            for steps in STEPS:
                row[f"peak RSS, {steps:,} steps, MiB"] = call(peak_rss, steps, length, batch)
            print(row)
            rows.append(row)

    fewer, more = (f"peak RSS, {steps:,} steps, MiB" for steps in STEPS)
    in_steps = max(row[more] / row[fewer] for row in rows)
    # Linear where the bytes for each layer and sample do not grow.
    per_layer_and_sample = [row["bytes / (K x batch)"] for row in rows]
    report(
        "memory",
        "Memory of the training loop: planar flow",
        rows,
        [
            at_most(f"peak RSS, {STEPS[1]:,} steps over {STEPS[0]:,}, at most {TOLERANCE}", in_steps, TOLERANCE),
            at_most(
                f"bytes for each layer and sample, largest problem over smallest, at most {TOLERANCE}",
                per_layer_and_sample[-1] / per_layer_and_sample[0],
                TOLERANCE,
            ),
        ],
        "The compiled loop takes the number of steps as an argument, so that its temporaries are the same for any.",
    )


if __name__ == "__main__":
    tyro.cli(main)
