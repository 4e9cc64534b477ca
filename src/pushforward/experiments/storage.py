"""Files elsewhere, under addresses that fsspec knows, such as `s3://bucket/sweep`."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pushforward.errors import UserError, imported
from pushforward.experiments.files import packed, unpack

HOW = "pip install 'pushforward[ray]'"
KEPT_EVERY = 30.0


def is_address(where: str) -> bool:
    """Whether files are elsewhere, and not in a folder of this machine."""
    return "://" in where


@dataclass(frozen=True)
class Storage:
    """A folder elsewhere.

    Attributes:
        address: of the folder.
    """

    address: str

    def read(self, name: str) -> bytes | None:
        """The content of a file; None where there is none."""
        files, path = self._find(name)
        with _named(self.address):
            return files.cat_file(path) if files.exists(path) else None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, whole or not at all."""
        files, path = self._find(name)
        with _named(self.address):
            files.makedirs(path.rpartition("/")[0], exist_ok=True)
            with files.transaction, files.open(path, "wb") as file:
                file.write(content)

    def names(self, folder: str) -> set[str]:
        """The names of the files in a folder."""
        files, path = self._find(folder)
        with _named(self.address):
            if not files.exists(path):
                return set()
            return {str(each).rstrip("/").rpartition("/")[2] for each in files.ls(path, detail=False)}

    def unpack(self, name: str, folder: Path) -> bool:
        """Make a folder of this machine hold what an archive has; whether there is one."""
        content = self.read(name)
        if content is None:
            return False
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        unpack(content, folder)
        return True

    def pack(self, name: str, folder: Path) -> None:
        """Write an archive of a folder of this machine, whole or not at all."""
        self.write(name, packed(folder))

    def _find(self, name: str) -> tuple[Any, str]:
        fsspec = imported("fsspec", HOW)
        with _named(self.address):
            return fsspec.core.url_to_fs(f"{self.address.rstrip('/')}/{name}")


class Kept:
    """A folder of this machine that is kept as an archive elsewhere, so that another machine can go on with it.

    Args:
        storage: where.
        name: of the archive.
        folder: what the archive has, where there is one.
        every_seconds: between two writings.
    """

    def __init__(self, storage: Storage, name: str, folder: Path, every_seconds: float = KEPT_EVERY) -> None:
        self.storage, self.name, self.folder, self.every_seconds = storage, name, folder, every_seconds
        self._kept_at = time.monotonic()
        storage.unpack(name, folder)

    def keep(self) -> None:
        """Write the archive, if it is time to."""
        if time.monotonic() - self._kept_at > self.every_seconds:
            self.storage.pack(self.name, self.folder)
            self._kept_at = time.monotonic()


@contextmanager
def _named(address: str) -> Iterator[None]:
    """Within it, what goes wrong is told in one line that names the address."""
    try:
        yield
    except (OSError, ValueError, ImportError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(f"{address} cannot be used: {reason}") from error
