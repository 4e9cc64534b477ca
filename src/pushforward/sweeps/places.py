"""Where the runs of a sweep are: folders that every process sees, or archives under an address of fsspec."""

import atexit
import shutil
import tempfile
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from pushforward.errors import UserError
from pushforward.experiments.config import RunConfig
from pushforward.experiments.files import PARTIAL, write_whole
from pushforward.experiments.locks import HOLDER, LOCK, locked
from pushforward.experiments.runs import RESULT, finished_run
from pushforward.experiments.storage import Kept, Storage
from pushforward.experiments.work import Piece, training

SWEEP, RUNS = "sweep.yaml", "runs"


@runtime_checkable
class Place(Protocol):
    """Where the runs of a sweep are."""

    @property
    def name(self) -> str:
        """What it is called in messages."""

    @property
    def folder(self) -> Path:
        """Of this machine, where the page of the sweep is written and its runs are read."""

    def described(self) -> str | None:
        """What the sweep was started with; None where there is none.

        Raises:
            UserError: the place cannot be used, or holds something else.
        """

    def describe(self, text: str) -> None:
        """Keep what the sweep is started with."""

    def held(self) -> AbstractContextManager[None]:
        """Within it, no other process trains the sweep, as far as that can be kept from it."""

    def finished(self, names: Collection[str]) -> set[str]:
        """Which of the runs are finished."""

    def piece(self, name: str, config: RunConfig) -> Piece:
        """The training of a run, which goes on from its newest checkpoint."""

    def gather(self, names: Collection[str]) -> None:
        """Bring runs to `folder`."""

    def publish(self, files: Collection[Path]) -> None:
        """Keep files of `folder` beside the runs."""


@dataclass(frozen=True)
class Folder:
    """A folder that every process sees.

    Attributes:
        folder: of the sweep.
    """

    folder: Path

    @property
    def name(self) -> str:
        return str(self.folder)

    def described(self) -> str | None:
        path = self.folder / SWEEP
        if path.is_file():
            return path.read_text()
        taken = self.folder.exists() and not self.folder.is_dir()
        if taken or (
            self.folder.is_dir() and {each.name for each in self.folder.iterdir()} - {LOCK, HOLDER, SWEEP + PARTIAL}
        ):
            raise UserError(f"{self.folder} is there and holds no sweep; choose another --out")
        return None

    def describe(self, text: str) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / SWEEP, text)
        except OSError as error:
            raise UserError(f"cannot write to {self.folder}: {error.strerror or error}") from error

    def held(self) -> AbstractContextManager[None]:
        return locked(self.folder)

    def finished(self, names: Collection[str]) -> set[str]:
        return {name for name in names if (self._of(name) / RESULT).is_file()}

    def piece(self, name: str, config: RunConfig) -> Piece:
        return training(name, config, self._of(name))

    def gather(self, names: Collection[str]) -> None:
        pass

    def publish(self, files: Collection[Path]) -> None:
        pass

    def _of(self, name: str) -> Path:
        return self.folder / RUNS / name


@dataclass(frozen=True)
class Elsewhere:
    """Archives of runs under an address.

    Attributes:
        storage: where.
        folder: of this machine, for what is read of it; it goes with the process.
    """

    storage: Storage
    folder: Path

    @staticmethod
    def at(address: str) -> "Elsewhere":
        """Archives under this address."""
        folder = Path(tempfile.mkdtemp(prefix="pushforward-sweep-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return Elsewhere(Storage(address), folder)

    @property
    def name(self) -> str:
        return self.storage.address

    def described(self) -> str | None:
        content = self.storage.read(SWEEP)
        if content is None and self.storage.names(""):
            raise UserError(f"{self.name} is there and holds no sweep; choose another --out")
        return None if content is None else content.decode()

    def describe(self, text: str) -> None:
        self.storage.write(SWEEP, text.encode())

    def held(self) -> AbstractContextManager[None]:
        return nullcontext()

    def finished(self, names: Collection[str]) -> set[str]:
        files = self.storage.names(RUNS)
        return {name for name in names if _result(name) in files}

    def piece(self, name: str, config: RunConfig) -> Piece:
        return Piece(name, f"{__name__}:train_elsewhere", (config, self.storage, name))

    def gather(self, names: Collection[str]) -> None:
        for name in names:
            self.storage.unpack(f"{RUNS}/{_archive(name)}", self.folder / RUNS / name)

    def publish(self, files: Collection[Path]) -> None:
        for file in files:
            self.storage.write(str(file.relative_to(self.folder)), file.read_bytes())


def train_elsewhere(config: RunConfig, storage: Storage, name: str) -> None:
    """Train a run in a folder of this process, kept as an archive at checkpoints and in the end."""
    with tempfile.TemporaryDirectory(prefix="pushforward-run-") as folder:
        kept = Kept(storage, f"{RUNS}/{_archive(name)}", Path(folder) / name)
        run = finished_run(config, kept.folder, quiet=True, on_saved=kept.keep)
        storage.pack(kept.name, kept.folder)
        # What is finished is told by this file, so that it is the last.
        storage.write(f"{RUNS}/{_result(name)}", (run.folder / RESULT).read_bytes())


def _archive(name: str) -> str:
    return f"{name}.tar"


def _result(name: str) -> str:
    return f"{name}.json"
