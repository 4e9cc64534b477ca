"""Files from public servers: found in a folder or downloaded once, and believed only by their hash."""

import hashlib
import os
import tarfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from pushforward.errors import UserError

FOLDER_VARIABLE = "PUSHFORWARD_DATA"
TIMEOUT = 30.0


@dataclass(frozen=True)
class Source:
    """Where the files of a data set can be had.

    Attributes:
        folder: the folder of these files in the cache, and in the folder that PUSHFORWARD_DATA names.
        mirrors: addresses that a file's name is added to, tried in turn; none where the files have no public address.
        sha256: the hash of every file, in hexadecimal.
        archive: name and hash of the tar file that the mirrors have in place of the files, its members.
    """

    folder: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]
    archive: tuple[str, str] | None = None


@dataclass(frozen=True)
class Archive:
    """An archive that the user unpacks.

    Attributes:
        address: where it can be had.
        name: of its file.
        folder: that it unpacks to, in which the files of the data sets are.
    """

    address: str
    name: str
    folder: str


def unpacked(archive: Archive, file: str) -> Path:
    """The path of a file of an archive that the user has unpacked, in the folder that PUSHFORWARD_DATA names.

    Raises:
        UserError: it is not there, or the variable is not set.
    """
    advice = f"unpack {archive.name} of {archive.address} and set {FOLDER_VARIABLE} to its folder {archive.folder!r}"
    root = os.environ.get(FOLDER_VARIABLE)
    if not root:
        raise UserError(f"{file} is not downloaded by pushforward: {advice}")
    path = Path(root, file)
    if not path.is_file():
        raise UserError(f"{path} is not there: {advice}")
    return path


def fetch(source: Source, file: str) -> Path:
    """The path of a file with the right hash: in the folder that PUSHFORWARD_DATA names, or downloaded to the cache.

    Raises:
        UserError: it is missing or altered there, or no mirror has it.
    """
    root = os.environ.get(FOLDER_VARIABLE)
    if not root and not source.mirrors:
        raise UserError(
            f"{file} has no public address: set {FOLDER_VARIABLE} to a folder that holds {source.folder}/{file}"
        )
    return _find(Path(root), source, file) if root else _download(source, file)


def _find(root: Path, source: Source, file: str) -> Path:
    path = root / source.folder / file
    try:
        right = _sha256(path) == source.sha256[file]
    except OSError as error:
        raise UserError(f"{path}: {error.strerror} ({FOLDER_VARIABLE} is set to {root})") from error
    if not right:
        size = f"{path.stat().st_size:,} bytes"
        raise UserError(f"{path} ({size}) is truncated or altered: its sha256 is not {source.sha256[file][:12]}...")
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _download(source: Source, file: str) -> Path:
    import pooch

    folder = Path(pooch.os_cache("pushforward")) / source.folder
    try:
        if source.archive is None:
            return _retrieve(source.mirrors, file, source.sha256[file], folder)
        return _member(source, file, *source.archive, folder)
    except UserError as error:
        advice = f"set {FOLDER_VARIABLE} to a folder that holds {source.folder}/{file}"
        raise UserError(f"cannot download {error}; try again, or {advice}") from error


def _retrieve(mirrors: tuple[str, ...], file: str, sha256: str, folder: Path) -> Path:
    """The path of a file in `folder`, downloaded if it is not there with the right hash."""
    import pooch

    failures = []
    for mirror in mirrors:
        try:
            path = pooch.retrieve(
                mirror + file,
                known_hash=f"sha256:{sha256}",
                fname=file,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT),
            )
            return Path(path)
        except (OSError, ValueError) as error:
            failures.append(f"{urlsplit(mirror).hostname}: {_reason(error)}")
    raise UserError(f"{file} ({'; '.join(failures)})")


def _member(source: Source, file: str, archive: str, sha256: str, folder: Path) -> Path:
    """The path of a member of an archive in `folder`; where it is missing or altered, all members are put there."""
    path = folder / file
    try:
        if not path.is_file() or _sha256(path) != source.sha256[file]:
            folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=folder) as scratch:
                _extract(_retrieve(source.mirrors, archive, sha256, Path(scratch)), source.sha256)
                for name in source.sha256:
                    (folder / name).parent.mkdir(parents=True, exist_ok=True)
                    Path(scratch, name).replace(folder / name)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        raise UserError(f"{archive} (not unpacked: {_reason(error)})") from error
    return path


def _extract(archive: Path, sha256: dict[str, str]) -> None:
    """Put the members of an archive beside it, all of them with the right hash."""
    with tarfile.open(archive) as tar:
        for member in filter(tarfile.TarInfo.isfile, tar):
            content = tar.extractfile(member)
            if content is not None and member.name in sha256:
                path = archive.parent / member.name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content.read())
    for name, digest in sha256.items():
        path = archive.parent / name
        if not path.is_file() or _sha256(path) != digest:
            raise UserError(f"{archive.name} (its {name} is missing or altered)")


def _reason(error: Exception) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    if type(error) is ValueError:
        return "wrong sha256"
    return getattr(error, "strerror", None) or type(error).__name__
