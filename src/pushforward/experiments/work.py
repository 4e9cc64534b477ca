"""Work in pieces that leave their results on the disk: done in turn in this process, or on a Ray cluster."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from pushforward.errors import UserError
from pushforward.experiments.cluster import Call, Cluster, Ended, connected
from pushforward.experiments.config import RunConfig
from pushforward.experiments.registry import resolve
from pushforward.experiments.runs import METRICS, finished_run
from pushforward.progress import progress_console

LOOK_SECONDS, LOOK_SHARE = 1.0, 0.05


@dataclass(frozen=True)
class Piece:
    """A part of the work, which goes on where it was when it is done again.

    Attributes:
        name: of it.
        function: `module:name` of what does it.
        arguments: of the function, which can be pickled.
        progress: how much of it the disk says is done, in [0, 1].
    """

    name: str
    function: str
    arguments: tuple[Any, ...]
    progress: Callable[[], float] = lambda: 0.0


def carry_out(title: str, pieces: Sequence[Piece], cluster: Cluster | None = None) -> dict[str, str]:
    """Do every piece, and show how far all of them are in one line on standard error.

    Args:
        title: of the line.
        pieces: those that are not done.
        cluster: where; in this process, one after another, unless given.

    Returns:
        Of each piece that failed, why.

    Raises:
        UserError: the cluster cannot be used.
    """
    if not pieces:
        return {}
    calls = {piece.name: (piece.function, piece.arguments) for piece in pieces}
    failed: dict[str, str] = {}
    with nullcontext(_in_turn) if cluster is None else connected(cluster) as make, _watched(title, pieces) as done:
        for name, complaint in make(calls):
            if complaint is not None:
                failed[name] = complaint
            done(name, complaint)
    return failed


def training(name: str, config: RunConfig, folder: Path) -> Piece:
    """The training of a run in a folder that all processes see."""
    steps, metrics = getattr(config, "steps", None), folder.absolute() / METRICS

    def progress() -> float:
        return 0.0 if steps is None else min(1.0, _last_step(metrics) / steps)

    return Piece(name, f"{__name__}:train", (config, folder.absolute()), progress)


def train(config: RunConfig, folder: Path) -> None:
    """Train a run, unless it is finished."""
    finished_run(config, folder, quiet=True)


def _last_step(metrics: Path) -> int:
    """The step of the last whole record of a run."""
    lines = metrics.read_bytes().splitlines(keepends=True) if metrics.is_file() else []
    whole = [line for line in lines[-2:] if line.endswith(b"\n")]
    return int(json.loads(whole[-1])["step"]) if whole else 0


def _in_turn(calls: Mapping[str, Call]) -> Iterator[Ended]:
    """Make calls in this process; as each ends, its name and what it complained of."""
    for name, (function, arguments) in calls.items():
        try:
            resolve(function)(*arguments)
        except (UserError, OSError) as error:
            yield name, str(error)
        else:
            yield name, None


@contextmanager
def _watched(title: str, pieces: Sequence[Piece]) -> Iterator[Callable[[str, str | None], None]]:
    """A line with how many are done and the time left, brought up to date by what the disk says of the others.

    Where there is no terminal, whose line can be written anew, every piece that is done has a line of its own.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[count]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    waiting, failures = {piece.name: piece for piece in pieces}, 0
    over, console, began = threading.Event(), progress_console(), time.monotonic()
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(title, total=len(pieces), count=f"0/{len(pieces)}")

        def show() -> None:
            finished = len(pieces) - len(waiting)
            count = f"{finished}/{len(pieces)}" + (f", {failures} failed" if failures else "")
            partly = sum(piece.progress() for piece in list(waiting.values()))
            progress.update(task, completed=finished + partly, count=count)

        def look() -> None:
            pause = LOOK_SECONDS
            while not over.wait(pause):
                looked = time.perf_counter()
                show()
                pause = max(LOOK_SECONDS, (time.perf_counter() - looked) / LOOK_SHARE)

        def done(name: str, complaint: str | None) -> None:
            nonlocal failures
            del waiting[name]
            failures += complaint is not None
            show()
            if not console.is_terminal:
                took = timedelta(seconds=round(time.monotonic() - began))
                said = "done" if complaint is None else "failed"
                line = f"{title}: {name} {said} ({len(pieces) - len(waiting)}/{len(pieces)}, {took})"
                console.print(line, soft_wrap=True, markup=False, highlight=False)

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield done
        finally:
            over.set()
            thread.join()
