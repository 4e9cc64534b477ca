"""The progress bar of training."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

OnProgress = Callable[[int, Float[np.ndarray, " members"]], None]


@contextmanager
def training_progress(title: str, steps: int, quiet: bool = False) -> Iterator[OnProgress]:
    """A bar on standard error: the step, the lowest loss of all restarts, their steps a second, the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]}"),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(title, total=steps, loss="…", rate="compiling")

        def update(step: int, loss: Float[np.ndarray, " members"]) -> None:
            finite = loss[np.isfinite(loss)]
            shown = f"{finite.min():.4f}" if len(finite) else "—"
            speed = progress.tasks[task].speed
            rate = f"{speed * len(loss):,.0f} steps/s" if speed else "…"
            progress.update(task, completed=step, loss=shown, rate=rate)

        yield update


@contextmanager
def counting_progress(title: str, total: int, unit: str, quiet: bool = False) -> Iterator[Callable[[int], None]]:
    """A bar with how many are done and the time left, on standard error."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
        task = progress.add_task(title, total=total)
        yield lambda done: progress.update(task, completed=done)
