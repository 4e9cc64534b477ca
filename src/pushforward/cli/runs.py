"""Runs that a command starts, or goes on with."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pushforward.cli.exits import INTERRUPTED
from pushforward.errors import UserError
from pushforward.experiments.config import RunConfig, TrackerName

if TYPE_CHECKING:
    from pushforward.experiments.processes import Processes

Shared = Literal["all"] | int
"""How many devices share the training of a run."""


def train_and_show(
    config: RunConfig,
    defaults: RunConfig,
    out: Path | None,
    resume: Path | None,
    force: bool,
    devices: Shared | None = None,
    *,
    longer: bool = False,
    track: tuple[TrackerName, ...] = (),
) -> None:
    """Start a run, or go on with the one in `resume`; train it unless it is finished; print its result and report.

    Args:
        longer: whether the steps of `config` are those that a resumed run is to have.
        track: where records of training go too.
    """
    from pushforward.experiments.tracking import tracked

    count = _counted(devices)
    run = replace(_started_or_resumed(config, defaults, out, resume, force, longer), devices=count)
    with _resumable(run, fresh=resume is None):
        if not run.finished:
            with tracked(run, track) as watched:
                watched.train()
    run.show(run.write_report())


def train_together(
    processes: "Processes",
    config: RunConfig,
    defaults: RunConfig,
    out: Path | None,
    resume: Path | None,
    force: bool,
    *,
    longer: bool = False,
) -> None:
    """The same in one of several processes, of which the first alone writes and prints."""
    processes.join()
    import jax

    from pushforward.experiments.processes import shared

    with shared(lambda: _started_or_resumed(config, defaults, out, resume, force, longer)) as run:
        first = jax.process_index() == 0
        with _resumable(run, fresh=resume is None):
            if not run.finished:
                run.train(quiet=not first)
        if first:
            run.show(run.write_report())


def _counted(devices: Shared | None) -> int | None:
    """How many devices are meant.

    Raises:
        UserError: there are fewer.
    """
    if devices is None:
        return None
    import jax

    there = jax.device_count()
    count = there if devices == "all" else devices
    if not 1 <= count <= there:
        raise UserError(f"--devices {devices}: there are 1 to {there}")
    return count


def gives_steps(arguments: list[str]) -> bool:
    """Whether a command line says how many steps."""
    return any(word.partition("=")[0] == "--steps" for word in arguments)


def _started_or_resumed(
    config: Any, defaults: Any, out: Path | None, resume: Path | None, force: bool, longer: bool
) -> Any:
    from pushforward.experiments.runs import open_run, start_run

    if resume is None:
        return start_run(config, out, force)
    if out is not None or force or config != (replace(defaults, steps=config.steps) if longer else defaults):
        raise UserError("--resume takes every setting from the run; give nothing but more --steps with it")
    run = open_run(resume)
    if run.config.COMMAND != config.COMMAND:
        raise UserError(f"{run.folder} is a run of pushforward {run.config.COMMAND}; resume it with that")
    return run.longer(config.steps) if longer else run


@contextmanager
def goes_on_again() -> Iterator[None]:
    """Within it, a signal ends the program with the word that the same command goes on."""
    try:
        yield
    except KeyboardInterrupt as interruption:
        print(f"{str(interruption) or 'stopped'}; the same command goes on", file=sys.stderr)
        sys.exit(INTERRUPTED)


@contextmanager
def _resumable(run: Any, *, fresh: bool) -> Iterator[None]:
    """Within it, a signal that has stopped the training ends the program with the command that goes on.

    Of a fresh run that could not be trained at all nothing is left; one that is gone on with stays.
    """
    try:
        yield
    except UserError:
        if fresh:
            run.withdraw()
        raise
    except KeyboardInterrupt as interruption:
        message = str(interruption) or "stopped"
        again = f"pushforward {run.config.COMMAND} --resume {run.folder}"
        print(f"{message}; go on with: {again}", file=sys.stderr)
        sys.exit(INTERRUPTED)
