"""What is shown while something takes long: a bar in a terminal, a line that changes in a notebook."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

__all__ = [
    "OnProgress",
    "counting_progress",
    "in_a_notebook",
    "is_watched",
    "lines_console",
    "progress_console",
    "silence",
    "training_progress",
]

OnProgress = Callable[[int, Float[np.ndarray, " members"]], None]

BEFORE = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())


_silent = False


def silence() -> None:
    """Show no progress any more, whatever asks for it."""
    global _silent
    _silent = True


def progress_console() -> Console:
    """The standard error; a terminal where it is one, and not where colours are asked for, as in a notebook's shell."""
    return Console(stderr=True, quiet=_silent, force_terminal=sys.stderr.isatty())


def lines_console(quiet: bool) -> Console:
    """The standard output, for lines that say what has come out; in a notebook too, where rich would ask for widgets.

    Args:
        quiet: whether nothing is shown.
    """
    there = False if in_a_notebook() else None
    return Console(quiet=quiet or _silent, force_jupyter=False, force_terminal=there)


def in_a_notebook() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return hasattr(shell, "kernel")


def is_watched() -> bool:
    """Whether somebody sees a progress that is shown: in a terminal, or a notebook."""
    return in_a_notebook() or sys.stderr.isatty()


@contextmanager
def training_progress(title: str, steps: int, quiet: bool = False) -> Iterator[OnProgress]:
    """The step, the lowest loss of all restarts, their steps a second, the time left.

    Args:
        title: what is trained.
        steps: in all.
        quiet: whether nothing is shown.
    """
    quiet = quiet or _silent
    if in_a_notebook() and not quiet:
        yield _in_a_cell(title, steps)
        return
    columns = (TextColumn("loss {task.fields[loss]}"), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with Progress(*BEFORE, *columns, console=progress_console(), disable=quiet) as progress:
        task = progress.add_task(title, total=steps, loss="…", rate="compiling")

        def update(step: int, loss: Float[np.ndarray, " members"]) -> None:
            speed = progress.tasks[task].speed
            rate = f"{speed * len(loss):,.0f} steps/s" if speed else "…"
            progress.update(task, completed=step, loss=_lowest(loss), rate=rate)

        yield update


@contextmanager
def counting_progress(title: str, total: int, unit: str, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """How many are done, and the time left.

    Args:
        title: what is done.
        total: of them.
        unit: what they are.
        quiet: whether nothing is shown.
    """
    quiet = quiet or _silent
    if in_a_notebook() and not quiet:
        line = _line(f"{title}: 0 of {total:,} {unit}")
        yield lambda done: line(f"{title}: {done:,} of {total:,} {unit}")
        return
    with Progress(
        *BEFORE, TextColumn(unit), TimeRemainingColumn(), console=progress_console(), disable=quiet
    ) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)


def _in_a_cell(title: str, steps: int) -> OnProgress:
    """One line below the cell."""
    start = time.perf_counter()
    line = _line(f"{title}: compiling")

    def update(step: int, loss: Float[np.ndarray, " members"]) -> None:
        seconds = time.perf_counter() - start
        line(f"{title}: {step:,} of {steps:,} steps, loss {_lowest(loss)}, {seconds:.0f} s")

    return update


def _line(text: str) -> Callable[[str], None]:
    """A line of output that can be replaced."""
    from IPython.display import display

    show: Any = display
    handle = show(_Text(text), display_id=True)
    return lambda text: handle.update(_Text(text))


class _Text(str):
    """A string that IPython shows as it is."""

    def __repr__(self) -> str:
        return str(self)


def _lowest(loss: Float[np.ndarray, " members"]) -> str:
    finite = loss[np.isfinite(loss)]
    return f"{finite.min():.4f}" if len(finite) else "—"
