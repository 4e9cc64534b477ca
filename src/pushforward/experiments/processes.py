"""Several processes that train one run: joined by JAX, of which the first alone keeps what is written."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pushforward.errors import UserError
from pushforward.experiments.files import packed, unpack
from pushforward.experiments.runs import open_run

HEARTBEAT_SECONDS = 30
"""After which a process that is not heard of any more ends the others."""


@dataclass(frozen=True)
class Processes:
    """The processes of a run.

    Attributes:
        coordinator: `host:port` at which the first of them listens; found by itself under Slurm and Open MPI.
        count: how many there are; found so too.
        index: of this one, the first is 0; found so too.
    """

    coordinator: str | None = None
    count: int | None = None
    index: int | None = None

    def join(self) -> None:
        """Meet the others; call it before JAX computes.

        Raises:
            UserError: they are not found.
        """
        given = [value is not None for value in (self.coordinator, self.count, self.index)]
        if any(given) and not all(given):
            raise UserError("give --coordinator, --processes and --process together, or under Slurm and Open MPI none")
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        try:
            jax.distributed.initialize(
                self.coordinator, self.count, self.index, heartbeat_timeout_seconds=HEARTBEAT_SECONDS
            )
        except (RuntimeError, ValueError) as error:
            raise UserError(f"the processes do not find each other: {str(error).strip().splitlines()[0]}") from error


@contextmanager
def shared(start: Callable[[], Any]) -> Iterator[Any]:
    """Within it, the run to train: in the first process what `start` makes, in the others a copy that is thrown away.

    Raises:
        UserError: another process has gone.
    """
    with tempfile.TemporaryDirectory(prefix="pushforward-process-") as folder:
        run = start() if jax.process_index() == 0 else None
        try:
            content = _from_the_first(b"" if run is None else packed(run.folder))
            if run is None:
                unpack(content, Path(folder))
                run = open_run(folder)
            yield run
        except jax.errors.JaxRuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(f"another process has gone: {reason}; resume the run with as many as there are") from error


def _from_the_first(content: bytes) -> bytes:
    """What the first process has."""
    from jax.experimental.multihost_utils import broadcast_one_to_all

    size = int(broadcast_one_to_all(np.array(len(content))))
    sent = np.zeros(size, np.uint8)
    if jax.process_index() == 0:
        sent[:] = np.frombuffer(content, np.uint8)
    return np.asarray(broadcast_one_to_all(sent)).tobytes()
