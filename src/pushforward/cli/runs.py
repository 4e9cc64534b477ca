"""Runs that a command starts, or goes on with."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pushforward.cli.exits import INTERRUPTED
from pushforward.errors import UserError
from pushforward.experiments.config import RunConfig


def train_and_show(config: RunConfig, defaults: RunConfig, out: Path | None, resume: Path | None, force: bool) -> None:
    """Start a run, or go on with the one in `resume`; train it unless it is finished; print its result and report."""
    run = _started_or_resumed(config, defaults, out, resume, force)
    with _resumable(run, fresh=resume is None):
        if not run.finished:
            run.train()
    run.show(run.write_report())


def _started_or_resumed(
    config: RunConfig, defaults: RunConfig, out: Path | None, resume: Path | None, force: bool
) -> Any:
    from pushforward.experiments.runs import open_run, start_run

    if resume is None:
        return start_run(config, out, force)
    if out is not None or force or config != defaults:
        raise UserError("--resume takes every setting from the run; give nothing else with it")
    run = open_run(resume)
    if run.config.COMMAND != config.COMMAND:
        raise UserError(f"{run.folder} is a run of pushforward {run.config.COMMAND}; resume it with that")
    return run


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
