"""A user's own table that stays on disk while a flow is trained on it."""

import hashlib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

import numpy as np
from jaxtyping import Float32, Float64, Int

from pushforward.data.base import Dataset, Split, TableOptions, assembled, check_positive, dropped_rows
from pushforward.data.checks import repeats
from pushforward.data.tables import (
    Table,
    check_finite,
    is_number,
    not_whole,
    npy_numbers,
    numbered,
    parquet_columns,
    suffix_of,
)
from pushforward.data.text import brief
from pushforward.data.windows import NUMBERS, RowFile, Windows
from pushforward.errors import UserError

LARGE = 2**25
SMALL_FILE = 2**20
AT_ONCE = 2**16
HELD_OUT = NUMBERS // 4


@dataclass(frozen=True, eq=False)
class Source:
    """A file whose rows can be read part by part.

    Attributes:
        columns: the names of its columns.
        shape: how many rows and columns there are.
        parts: from indices of columns to all of their rows, in double precision, part by part.
        stored: the rows, where the numbers of each lie together in the file.
        words: the names of columns that hold no numbers.
    """

    columns: tuple[str, ...]
    shape: tuple[int, int]
    parts: Callable[[list[int]], Iterator[Float64[np.ndarray, "n used"]]]
    stored: RowFile | None = None
    words: tuple[str, ...] = ()


def stays_on_disk(path: Path, options: TableOptions) -> bool:
    """Whether a file is read by `streamed`: as the user says, else where it has over 128 MiB in single precision.

    Raises:
        UserError: it is damaged.
    """
    if options.stream != "auto":
        return options.stream == "yes"
    if not path.is_file() or path.stat().st_size < SMALL_FILE:
        return False
    source = _source(path)
    return source is not None and source.shape[0] * source.shape[1] > LARGE


def streamed(path: Path, split: Split, options: TableOptions) -> Dataset:
    """The data set of a file whose rows stay on disk.

    Every row is read once and checked. `Dataset.windows` shows all rows to train on; `train` is a random sample of
    them, of 8,388,608 numbers at most, from which a flow's units and settings, and the warnings, are taken. The
    validation and test sets have a quarter as many numbers at most.

    Args:
        path: of an .npy or .parquet file.
        split: how rows are divided.
        options: what of the table is used.

    Raises:
        UserError: it is another kind of file, or as `data.load`.
    """
    source = _source(path)
    if source is None:
        raise UserError(f"--stream is for tables in .npy and .parquet files, not for {path.name}")
    indices, contexts = options.chosen(Table(np.empty((0, source.shape[1])), source.columns))
    used = [*indices, *contexts]
    columns = tuple(source.columns[index] for index in used)
    for column in columns:
        if column in source.words or column in options.categorical:
            where = f"{path.name}: column {brief(column)}"
            raise UserError(f"{where} holds words: --drop it or, where it is a context, --stream no")
    dropped = dropped_rows(path.name, source.shape[0], options.drop_rows)
    try:
        parts = split.sample(source.shape[0], NUMBERS // len(used), HELD_OUT // len(used), dropped)
    except UserError as error:
        raise UserError(f"{path.name} has {error}") from error
    chosen = np.sort(np.concatenate(parts))
    values, rows, digest = _read(path, source, used, options, chosen)
    repeated = int(np.sum(repeats(values) != np.arange(len(values))))
    warnings = (
        f"{repeated:,} of {len(values):,} rows looked at repeat another: equal rows may lie in several parts of the "
        "split, and a density of repeated rows has no upper bound",
    )
    content = Table(values, columns, warnings if repeated else ())
    train, validation, test = (np.searchsorted(chosen, part) for part in parts)
    data = assembled(path.name, content, len(indices), (train, validation, test), options, chosen)
    there = range(len(used)) if source.stored is None else used
    windows = Windows(
        rows,
        tuple(there[: len(indices)]),
        tuple(there[len(indices) :]),
        np.sort(np.concatenate([*parts[1:], dropped])),
        split.seed,
    )
    return replace(data, windows=windows, digest=digest)


def looked_at(data: Dataset) -> Table:
    """The sample of rows of a file that stays on disk."""
    given = data.given
    values = data.train if given is None else np.concatenate([data.train, given.train], axis=1)
    return Table(values.astype(np.float64), (*data.columns, *(() if given is None else given.columns)))


def _source(path: Path) -> Source | None:
    readers = {".npy": _npy, ".parquet": _parquet}
    reader = readers.get(suffix_of(path))
    return None if reader is None else reader(path)


def _npy(path: Path) -> Source:
    numbers, shape, by_columns = npy_numbers(path)
    if by_columns:
        n = shape[0]

        def parts(used: list[int]) -> Iterator[Float64[np.ndarray, "n used"]]:
            for first in range(0, n, AT_ONCE):
                stop = min(first + AT_ONCE, n)
                columns = [numbers[index * n + first : index * n + stop] for index in used]
                yield np.concatenate(columns, axis=1).astype(np.float64)

        return Source(numbered(shape[1]), shape, parts)
    stored = RowFile(path.open("rb"), numbers.start, numbers.dtype, shape)

    def rows(used: list[int]) -> Iterator[Float64[np.ndarray, "n used"]]:
        for first in range(0, shape[0], AT_ONCE):
            yield stored[first : first + AT_ONCE][:, used].astype(np.float64)

    return Source(numbered(shape[1]), shape, rows, stored)


def _parquet(path: Path) -> Source:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    fields, n = parquet_columns(path)
    names = tuple(field.name for field in fields)

    def parts(used: list[int]) -> Iterator[Float64[np.ndarray, "n used"]]:
        chosen = [names[index] for index in used]
        try:
            with ParquetFile(path) as file:
                for batch in file.iter_batches(AT_ONCE, columns=chosen):
                    columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in chosen]
                    yield np.stack([column.astype(np.float64) for column in columns], axis=1)
        except (OSError, pa.ArrowException) as error:
            raise not_whole(path, error) from error

    words = tuple(field.name for field in fields if not is_number(field))
    return Source(names, (n, len(names)), parts, words=words)


def _read(
    path: Path, source: Source, used: list[int], options: TableOptions, chosen: Int[np.ndarray, " n"]
) -> tuple[Float64[np.ndarray, "n used"], RowFile, str]:
    """The chosen rows, all rows as they are read again, and a digest of all."""
    columns = tuple(source.columns[index] for index in used)
    logged = tuple(column in options.log for column in columns)
    rows = source.stored or _scratch((source.shape[0], len(used)))
    digest, found, first = hashlib.sha256(), [], 0
    for part in source.parts(used):
        check_finite(path, part, columns, first)
        check_positive(path.name, part, columns, logged, first + np.arange(len(part)))
        single = part.astype(np.float32, order="C")
        digest.update(single)
        if source.stored is None:
            _write(rows.file, single)
        low, high = np.searchsorted(chosen, [first, first + len(part)])
        found.append(part[chosen[low:high] - first])
        first += len(part)
    return np.concatenate(found), rows, digest.hexdigest()


def _scratch(shape: tuple[int, int]) -> RowFile:
    file = tempfile.TemporaryFile()  # noqa: SIM115 -- it is closed with its rows
    return RowFile(file, 0, np.dtype(np.float32), shape)


def _write(scratch: IO[bytes], rows: Float32[np.ndarray, "n used"]) -> None:
    try:
        scratch.write(rows)
        scratch.flush()
    except OSError as error:
        raise UserError(
            f"the numbers of the file are copied to {tempfile.gettempdir()}: {error.strerror}; TMPDIR names another "
            "folder"
        ) from error
