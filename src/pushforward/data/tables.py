"""A user's own table, from a file, checked before anything is trained on it."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Shaped

from pushforward.data.base import brief
from pushforward.errors import UserError

MAX_COLUMNS = 10_000
FIRST_LINE = 2**20
BEYOND_FLOAT32 = 2.0**128 - 2.0**103  # halfway from the largest float32 to 2^128; it rounds to infinity
KNOWN_ARRAYS = ("x", "data", "samples")


@dataclass(frozen=True, eq=False)
class Table:
    """Finite values with the names of their columns.

    Attributes:
        values: shape `(n, D)`.
        columns: D names.
        warnings: doubts about how the file was read.
    """

    values: Float32[np.ndarray, "n D"]
    columns: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """The table in a file, by its suffix: one of `READERS`.

    Raises:
        UserError: there is no such file, it is not what its suffix says, or something in it is no finite number.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path} does not end in one of {', '.join(READERS)}")
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path.name} is empty")
        return reader(path)
    except MemoryError as error:
        raise UserError(f"{path.name} does not fit into memory") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'cannot be read'}") from error


def _read_csv(path: Path, delimiter: str = ",") -> Table:
    """A text file of numbers, with or without a line of names; blank lines are left out."""
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    columns, header_lines, warnings = _csv_columns(path, delimiter)
    names = [str(index) for index in range(len(columns))]
    try:
        text = read_csv(
            path,
            ReadOptions(column_names=names, skip_rows=header_lines, block_size=16 * FIRST_LINE),
            ParseOptions(delimiter=delimiter),
            ConvertOptions(column_types=dict.fromkeys(names, pa.float64())),
        )
    except pa.ArrowException as error:
        _find_bad_line(path, delimiter, header_lines, columns)
        raise UserError(f"{path.name} cannot be read as a table: {brief(str(error), 80)}") from error
    values = np.stack([_float32(column.to_numpy()) for column in text.columns], axis=1)
    if not np.isfinite(values).all():
        _find_bad_line(path, delimiter, header_lines, columns)
    _check_finite(path, values, columns)
    return Table(values, columns, warnings)


def _read_tsv(path: Path) -> Table:
    return _read_csv(path, "\t")


def _csv_columns(path: Path, delimiter: str) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Names of the columns, how many lines of the file they take (0 without names), and doubts about them."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            start = file.read(FIRST_LINE)
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name} is not UTF-8 text") from error
    reader = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)
    try:
        first = next((cells for cells in reader if cells), [])
    except csv.Error as error:
        raise UserError(f"{path.name}, line {reader.line_num}: {error}") from error
    if not first:
        raise UserError(f"{path.name} is empty")
    _check_width(path, len(first))
    if len(start) == FIRST_LINE and "\n" not in start and "\r" not in start:
        raise UserError(f"{path.name}: its first line is longer than {FIRST_LINE:,} characters")
    numbers = [_is_number(cell) for cell in first if cell.strip()]
    if numbers and all(numbers):
        return _numbered(len(first)), 0, ()
    if not all(cell.strip() for cell in first):
        column = next(index for index, cell in enumerate(first) if not cell.strip()) + 1
        raise UserError(f"{path.name}, line {reader.line_num}: column {column} has no name; leave an index column out")
    doubt = f"line {reader.line_num} of {path.name} is taken for names, though some of them are numbers"
    return tuple(cell.strip() for cell in first), reader.line_num, ((doubt,) if any(numbers) else ())


def _find_bad_line(path: Path, delimiter: str, header_lines: int, columns: tuple[str, ...]) -> None:
    """Refuse the first line that does not hold a finite number for every column, if there is one, and no lines at all.

    Raises:
        UserError: naming the line of the file and the column.
    """
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        for _ in range(header_lines):
            next(file)
        reader = csv.reader(file, delimiter=delimiter)
        try:
            for cells in filter(None, reader):
                _check_cells(cells, columns)
        except (csv.Error, UserError) as error:
            raise UserError(f"{path.name}, line {header_lines + reader.line_num}: {error}") from error
    if reader.line_num == 0:
        raise UserError(f"{path.name} has 0 rows")


def _check_cells(cells: list[str], columns: tuple[str, ...]) -> None:
    if len(cells) != len(columns):
        raise UserError(f"{len(cells):,} cells, but the first line has {len(columns):,}")
    for column, cell in zip(columns, cells):
        if not cell.strip():
            raise UserError(f"nothing in column {brief(column)}")
        if not _is_number(cell):
            raise UserError(f"{brief(cell)} in column {brief(column)} is not a number")
        if not abs(float(cell)) < BEYOND_FLOAT32:
            raise UserError(f"{brief(cell)} in column {brief(column)} is not a finite number in float32")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell


def _read_npy(path: Path) -> Table:
    """A 1-D or 2-D array of real numbers."""
    _check_start(path, b"\x93NUMPY")
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise _not_whole(path, error) from error
    return _array_table(path, array)


def _read_npz(path: Path) -> Table:
    """The only array of an archive, or the one that is called x, data or samples."""
    _check_start(path, b"PK")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = arrays.files
            known = names if len(names) == 1 else [name for name in KNOWN_ARRAYS if name in names]
            array = arrays[known[0]] if known else None
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise _not_whole(path, error) from error
    if array is None:
        raise UserError(f"{path.name} holds {len(names):,} arrays; call the one to use {' or '.join(KNOWN_ARRAYS)}")
    return _array_table(path, np.asarray(array))


def _array_table(path: Path, array: Shaped[np.ndarray, "..."]) -> Table:
    if array.dtype.kind not in "fiu":
        raise UserError(f"{path.name} holds values of type {brief(str(array.dtype))}, not real numbers")
    if array.ndim not in (1, 2):
        raise UserError(f"{path.name} holds an array of {array.ndim} dimensions; a table has 2: rows and columns")
    values = _float32(array[:, None] if array.ndim == 1 else array)
    _check_width(path, values.shape[1])
    columns = _numbered(values.shape[1])
    _check_finite(path, values, columns)
    return Table(values, columns)


def _read_parquet(path: Path) -> Table:
    """The columns of a Parquet file, without the index that pandas may have added."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    _check_start(path, b"PAR1")
    try:
        with ParquetFile(path) as file:
            schema = file.schema_arrow
            _check_width(path, len(schema))
            index = (schema.pandas_metadata or {}).get("index_columns", [])
            fields = {place: field for place, field in enumerate(schema) if field.name not in index}
            for field in fields.values():
                if not (pa.types.is_integer(field.type) or pa.types.is_floating(field.type)):
                    kind = brief(str(field.type))
                    raise UserError(f"{path.name}: column {brief(field.name)} holds values of type {kind}, not numbers")
            columns = tuple(field.name for field in fields.values())
            _check_width(path, len(columns))
            content = file.read()
            values = np.stack([_float32(content.column(place).to_numpy()) for place in fields], axis=1)
    except (MemoryError, UserError):
        raise
    except Exception as error:
        raise _not_whole(path, error) from error
    _check_finite(path, values, columns)
    return Table(values, columns)


def _check_start(path: Path, magic: bytes) -> None:
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            raise UserError(f"{path.name} is not a {path.suffix} file")


def _not_whole(path: Path, error: Exception) -> UserError:
    if "Object arrays" in str(error):
        return UserError(f"{path.name} holds pickled Python objects, not numbers")
    return UserError(f"{path.name} is damaged: it cannot be read as a {path.suffix} file")


def _check_width(path: Path, width: int) -> None:
    if not 1 <= width <= MAX_COLUMNS:
        raise UserError(f"{path.name} has {width:,} columns; 1 to {MAX_COLUMNS:,} can be used")


def _check_finite(path: Path, values: Float32[np.ndarray, "n D"], columns: tuple[str, ...]) -> None:
    finite = np.isfinite(values)
    if not finite.all():
        row, column = np.unravel_index(int(finite.argmin()), finite.shape)
        where = f"{path.name}, row {row + 1:,} (the first is 1), column {brief(columns[column])}"
        raise UserError(f"{where}: {values[row, column]} or missing; it must be a finite number in float32")


def _numbered(width: int) -> tuple[str, ...]:
    return tuple(f"x{index + 1}" for index in range(width))


def _float32(values: Shaped[np.ndarray, "..."]) -> Float32[np.ndarray, "..."]:
    """The values in float32; those beyond its range are infinite."""
    with np.errstate(over="ignore"):
        return values.astype(np.float32)


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
}
