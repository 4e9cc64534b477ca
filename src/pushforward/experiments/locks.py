"""A folder that one process at a time writes to."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from pushforward.errors import UserError

LOCK, HOLDER = ".lock", ".holder"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within it, this process alone writes to `folder`; the system frees the lock of a process that has died.

    Raises:
        UserError: another process does; the message names it and its host.
    """
    lock, holder = FileLock(folder / LOCK, timeout=0), folder / HOLDER
    try:
        lock.acquire()
    except Timeout as error:
        who = holder.read_text() if holder.is_file() else "another process"
        raise UserError(f"{folder} is in use by {who}; wait for it, or choose another --out") from error
    try:
        holder.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()
