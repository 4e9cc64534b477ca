"""Files from public servers: found in a folder or downloaded once, and believed only by their hash."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pushforward.errors import UserError

FOLDER_VARIABLE = "PUSHFORWARD_DATA"
TIMEOUT = 30.0


@dataclass(frozen=True)
class Source:
    """Where the files of a data set can be had.

    Attributes:
        folder: the folder of these files in the cache, and in the folder that PUSHFORWARD_DATA names.
        mirrors: addresses that a file's name is added to, tried in turn.
        sha256: the hash of every file, in hexadecimal.
    """

    folder: str
    mirrors: tuple[str, ...]
    sha256: dict[str, str]


def fetch(source: Source, file: str) -> Path:
    """The path of a file with the right hash: in the folder that PUSHFORWARD_DATA names, or downloaded to the cache.

    Raises:
        UserError: it is missing or altered there, or no mirror has it.
    """
    root = os.environ.get(FOLDER_VARIABLE)
    return _find(Path(root), source, file) if root else _download(source, file)


def _find(root: Path, source: Source, file: str) -> Path:
    path = root / source.folder / file
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: {error.strerror} ({FOLDER_VARIABLE} is set to {root})") from error
    if digest != source.sha256[file]:
        size = f"{path.stat().st_size:,} bytes"
        raise UserError(f"{path} ({size}) is truncated or altered: its sha256 is not {source.sha256[file][:12]}...")
    return path


def _download(source: Source, file: str) -> Path:
    import pooch

    folder = Path(pooch.os_cache("pushforward")) / source.folder
    failures = []
    for mirror in source.mirrors:
        try:
            path = pooch.retrieve(
                mirror + file,
                known_hash=f"sha256:{source.sha256[file]}",
                fname=file,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=True, timeout=TIMEOUT),
            )
            return Path(path)
        except (OSError, ValueError) as error:
            failures.append(f"{urlsplit(mirror).hostname}: {_reason(error)}")
    advice = f"set {FOLDER_VARIABLE} to a folder that holds {source.folder}/{file}"
    raise UserError(f"cannot download {file} ({'; '.join(failures)}); try again, or {advice}")


def _reason(error: OSError | ValueError) -> str:
    response = getattr(error, "response", None)
    if response is not None:
        return f"status {response.status_code}"
    if type(error) is ValueError:
        return "wrong sha256"
    return getattr(error, "strerror", None) or type(error).__name__
