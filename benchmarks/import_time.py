"""What importing pushforward costs beyond JAX, and how long `pushforward --help` takes, each in fresh processes.

The command lines take turns. "every public name" touches all that `pushforward` and its public modules export, so that
nothing stays lazy.
"""

import statistics
import subprocess
import sys
import time
from importlib.util import find_spec

import tyro

from common import Row, at_most, report, spread

LIMIT = 1.0

TOUCH = """
import jax
import pushforward
for module in map(pushforward.__getattr__, pushforward.__all__):
    for name in getattr(module, "__all__", dir(module)):
        getattr(module, name)
"""
JAX, LAZY, EVERYTHING, HELP = "import jax", "import pushforward", "jax and every public name", "pushforward --help"


def main(repeats: int = 7) -> None:
    """Measure import time.

    Args:
        repeats: fresh processes of each command line.
    """
    programs = {JAX: "import jax", LAZY: "import pushforward", EVERYTHING: TOUCH}
    commands = {name: [sys.executable, "-c", program] for name, program in programs.items()}
    if find_spec("pushforward.cli") is not None:
        commands[HELP] = [sys.executable, "-m", "pushforward.cli", "--help"]
    else:
        print("skipped pushforward --help: there is no pushforward.cli yet")

    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for repeat in range(repeats + 1):
        for name, command in commands.items():
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            if repeat:  # The first round fills the disk cache.
                seconds[name].append(time.perf_counter() - start)

    added = {
        name: statistics.median(own - jax for own, jax in zip(times, seconds[JAX])) for name, times in seconds.items()
    }
    rows: list[Row] = []
    for name, times in seconds.items():
        low, middle, high = spread(times)
        rows.append(
            {"command": name, "s, median": middle, "lowest": low, "highest": high, "beyond import jax": added[name]}
        )
    help_seconds = statistics.median(seconds[HELP]) if HELP in seconds else None
    report(
        "import_time",
        "Import and start-up time",
        rows,
        [
            at_most(f"every public name, beyond import jax, at most {LIMIT:g} s", added[EVERYTHING], LIMIT),
            at_most(f"pushforward --help, at most {LIMIT:g} s", help_seconds, LIMIT),
        ],
    )


if __name__ == "__main__":
    tyro.cli(main)
