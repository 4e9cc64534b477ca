"""Calls on a Ray cluster, whose machines see the same folders."""

import logging
import os
import pickle
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from warnings import catch_warnings, filterwarnings

from pushforward.devices import without_choices
from pushforward.errors import UserError, imported

Call = tuple[str, tuple[Any, ...]]
"""`module:name` of a function, and its arguments."""

Ended = tuple[str, str | None]
"""The name of a call, and what it complained of, if it did."""

HOW = "pip install 'pushforward[ray]'"
ANSWER_SECONDS, WAIT_SECONDS = 10.0, 1.0


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, and what each call gets of it.

    Attributes:
        address: `host:port` of its head, or `ray://host:port`; unless given that in `RAY_ADDRESS`, that of a head on
            this machine, or a cluster of this machine alone, made for the occasion.
        cpus: cores of a call.
        gpus: of a call.
        retries: how often a call is made again whose process has died.
    """

    address: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    retries: int = 3

    def check(self) -> None:
        """Refuse a cluster that cannot be used, as far as that is known without it.

        Raises:
            UserError: Ray is not installed, or nothing answers at the address.
        """
        imported("ray", HOW)
        if self.named is not None and not _answers(self.named):
            raise UserError(f"no Ray cluster answers at {self.named}")

    @property
    def named(self) -> str | None:
        """The address, where one is given here or by the environment."""
        return self.address or os.environ.get("RAY_ADDRESS")


@contextmanager
def connected(cluster: Cluster) -> Iterator[Callable[[Mapping[str, Call]], Iterator[Ended]]]:
    """Within it, a function that makes calls on a cluster: as each ends, its name and what it complained of.

    Every call has a process of its own, in the working directory of this one, in which JAX sees the cores of the call.
    A process that dies, or is ended by a signal, costs what its call has not left on the disk: it is made again.

    Args:
        cluster: where.

    Raises:
        UserError: Ray is not installed, or the cluster does not answer.
    """
    cluster.check()
    ray = imported("ray", HOW)
    try:
        with without_choices(), catch_warnings():
            # JAX warns of every fork, and Ray's end in another program at once.
            filterwarnings("ignore", "os.fork", RuntimeWarning)
            ray.init(address=cluster.named, logging_level=logging.ERROR, log_to_driver=False)
    except Exception as error:  # Ray raises ConnectionError, RuntimeError, ValueError and its own
        where = "here" if cluster.named is None else f"at {cluster.named}"
        raise UserError(f"no Ray cluster can be used {where}: {_first_line(error)}") from error

    def make(calls: Mapping[str, Call]) -> Iterator[Ended]:
        options = {"num_cpus": cluster.cpus, "num_gpus": cluster.gpus, "max_calls": 1, "max_retries": cluster.retries}
        remote, where = ray.remote(**options)(_called), str(Path.cwd())
        names = {
            remote.remote(where, cluster.cpus, function, pickle.dumps(arguments)): name
            for name, (function, arguments) in calls.items()
        }
        while names:
            for reference in ray.wait(list(names), timeout=WAIT_SECONDS)[0]:
                yield names.pop(reference), _outcome(ray, reference, cluster.retries)

    try:
        yield make
    finally:
        ray.shutdown()


def _answers(address: str) -> bool:
    """Whether something listens at an address, which Ray would wait for by the minute; a word such as `auto` may."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        return "://" not in address
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError:
        return False
    return True


def _called(where: str, cpus: int, function: str, arguments: bytes) -> str | None:
    """In a process of the cluster: make the call; what it complained of."""
    from pushforward.devices import use_cores
    from pushforward.programs import keep_programs

    os.chdir(where)
    use_cores(cpus)
    keep_programs()
    from pushforward.experiments.registry import resolve

    try:
        resolve(function)(*pickle.loads(arguments))
    except (UserError, OSError) as error:
        return str(error)
    except KeyboardInterrupt:
        os._exit(1)  # A signal to this process alone: as one that died, it is started again.
    return None


def _outcome(ray: Any, reference: Any, retries: int) -> str | None:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        return _first_line(error.cause)
    except ray.exceptions.RayError as error:
        return f"its process died {retries + 1} times: {_first_line(error)}"


def _first_line(error: object) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
