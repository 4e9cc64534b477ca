"""What a density of states of many log-densities costs: time and memory of construction and of each question.

The samples are float32, as flows give them. Every round loads them in a process of its own that has not made them:
memory that was used before and given back would be filled several times as fast, and not be counted. "Peak RSS" is the
most that the process ever held less what it held with the samples alone. The slowest and largest round is reported.
"""

import resource
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tyro

from common import Row, at_most, report, worker

SIZES = (100_000, 1_000_000, 10_000_000)
SECONDS = 2.0
MIB = 500.0
KIB = 1024
POINTS = 1001


def write_samples(size: int, path: Path) -> None:
    """Exponential depths below -1, where a tenth of the samples are an atom."""
    import numpy as np

    rng = np.random.default_rng(0)
    values = -1 - 0.5 * rng.standard_exponential(size, np.float32)
    values[: size // 10] = -1
    rng.shuffle(values)
    np.save(path, values)


def measure(path: Path) -> dict[str, float]:
    """Seconds of each step, and MiB beyond the samples."""
    import numpy as np

    from pushforward import states

    states.from_log_densities([0.0])  # imports
    values = np.load(path)
    before = held_rss()
    seconds: dict[str, float] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = call()
        seconds[name] = time.perf_counter() - start
        return result

    made = timed("construct, s", lambda: states.from_log_densities(values))
    timed("cdf, s", lambda: made.cdf(np.linspace(-5, -1, POINTS)))
    timed("quantiles, s", lambda: made.quantile(np.linspace(0, 1, POINTS)))
    timed("mean, s", lambda: made.mean)
    asked = sum(seconds.values())
    memory = peak_rss() - before
    timed("histogram and kernel estimate, s", lambda: (made.histogram(), made.pdf(np.linspace(-5, -1, POINTS))))
    timed("bound, s", lambda: states.volume_preserving_bound(made, 2, replicates=1))
    return {**seconds, "total, s": asked, "peak RSS, MiB": memory}


def held_rss() -> float:
    """MiB held now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / KIB**2


def peak_rss() -> float:
    """MiB, the most that was ever held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / KIB  # Linux counts in KiB


def main(repeats: int = 5) -> None:
    """Measure densities of states.

    Args:
        repeats: fresh processes for each number of samples.
    """
    rows: list[Row] = []
    with worker(reused=False) as call, TemporaryDirectory() as folder:
        for size in SIZES:
            path = Path(folder) / f"{size}.npy"
            call(write_samples, size, path)
            measured = [call(measure, path) for _ in range(repeats)]
            row: Row = {"samples": size, **{name: max(each[name] for each in measured) for name in measured[0]}}
            print(row)
            rows.append(row)
    largest = rows[-1]
    report(
        "density_of_states",
        "Density of states of many log-densities",
        rows,
        [
            at_most(f"{SIZES[-1]:,} samples, construct to mean, at most {SECONDS:g} s", largest["total, s"], SECONDS),
            at_most(f"{SIZES[-1]:,} samples, at most {MIB:g} MiB", largest["peak RSS, MiB"], MIB),
        ],
        f"The slowest and largest of {repeats} rounds. The total is that of construction, {POINTS} values of the "
        f"distribution function, {POINTS} quantiles and the mean. The bound is the volume-preserving one with one "
        "bootstrap replicate, which makes it two evaluations.",
    )


if __name__ == "__main__":
    tyro.cli(main)
