"""A user's own table, from a file: numbers with the names of their columns; contexts may be words too."""

import csv
import gzip
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, cast

import numpy as np
from jaxtyping import Float64, Shaped

from pushforward.data.text import brief
from pushforward.data.windows import RowFile
from pushforward.errors import UserError, nearest

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

MAX_COLUMNS = 10_000
FIRST_LINE = 2**20
BEYOND_FLOAT32 = 2.0**128 - 2.0**103  # halfway from the largest float32 to 2^128; it rounds to infinity
SMALLEST_FLOAT32 = 2.0**-150  # halfway to the smallest float32; it rounds to 0
KNOWN_ARRAYS = ("x", "data", "samples")
CONTEXT = "context"
MOST_CATEGORIES = 100
SEPARATORS = {"comma": ",", "semicolon": ";", "tab": "\t", "space": " ", "bar": "|"}
OTHER_UNIT = ", whose numbers reach from 1e-45 to 3.4e38: give the column another unit"
EVIDENCE = 1000  # lines by which the first is judged

Header = Literal["auto", "yes", "no"]


@dataclass(frozen=True)
class TextFormat:
    """How a text file is written.

    Attributes:
        delimiter: one character, or one of `SEPARATORS`; by the suffix unless given.
        header: whether its first line holds names; judged by the lines below it unless given.
        decimal_comma: whether numbers are written as 1,5.

    Raises:
        UserError: the delimiter is neither, or is the decimal comma.
    """

    delimiter: str | None = None
    header: Header = "auto"
    decimal_comma: bool = False

    def __post_init__(self) -> None:
        if self.delimiter is not None and self.delimiter not in SEPARATORS and len(self.delimiter) != 1:
            raise UserError(f"--delimiter must be one character or {', '.join(SEPARATORS)}, got {self.delimiter!r}")
        if self.decimal_comma and self.separator("") == ",":
            raise UserError("--decimal-comma needs another --delimiter than the comma: semicolon, say")

    def separator(self, by_suffix: str) -> str:
        """The character between two cells."""
        given = by_suffix if self.delimiter is None else self.delimiter
        return SEPARATORS.get(given, given)

    def is_number(self, cell: str) -> bool:
        """Whether a cell holds a number."""
        return _is_number(cell.replace(",", ".") if self.decimal_comma else cell)

    def number(self, cell: str) -> float:
        """The number in a cell."""
        return float(cell.replace(",", ".") if self.decimal_comma else cell)


@dataclass(frozen=True, eq=False)
class Table:
    """Finite values with the names of their columns.

    Attributes:
        values: shape `(n, D)`, in double precision.
        columns: D names.
        warnings: doubts about how the file was read.
        categories: of columns of words, by name: the words, sorted, in whose place the values are their indices.
        given: the columns that the file itself sets apart as contexts.
    """

    values: Float64[np.ndarray, "n D"]
    columns: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    categories: dict[str, tuple[str, ...]] = field(default_factory=dict)
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Words:
    """Which columns of a file may hold words, and which are not looked at.

    Attributes:
        allowed: they hold categories where one of their cells is no number.
        declared: they hold categories, though all of their cells may be numbers.
        dropped: they are not looked at.
        kept: if there are any, all others are dropped too, but for `allowed` and `declared`.
        named: names that the file must have, by the flag that gave them.
    """

    allowed: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    named: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def check(self, columns: Sequence[str]) -> None:
        """Refuse names that are none of the columns.

        Raises:
            UserError: one is none.
        """
        for option, names in self.named.items():
            for name in names:
                if name not in columns:
                    raise UserError(f"{option}: there is no column {brief(name)}{nearest(name, columns)}")

    def may_be_in(self, column: str) -> bool:
        """Whether a column may hold words."""
        return column in self.allowed or column in self.declared

    def ignores(self, column: str) -> bool:
        """Whether a column is not looked at: its values are 0."""
        return column in self.dropped or (bool(self.kept) and column not in self.kept and not self.may_be_in(column))


def suffix_of(path: Path) -> str:
    """The end of its name that says what a file holds: `.csv.gz`, `.npy`, ..."""
    ends = [suffix.lower() for suffix in path.suffixes[-2:]]
    return "".join(ends) if ends[-1:] == [".gz"] else "".join(ends[-1:])


def read_table(path: Path, text: TextFormat | None = None, words: Words | None = None) -> Table:
    """The table in a file, by its suffix: one of `READERS`.

    Args:
        path: the file.
        text: how it is written, where it is a text file.
        words: the columns that may hold some; none unless given.

    Raises:
        UserError: there is no such file, it is not what its suffix says, or something in it is no finite number.
    """
    reader = READERS.get(suffix_of(path))
    if text is not None and text != TextFormat() and suffix_of(path) not in TEXT:
        raise UserError(f"--delimiter, --header and --decimal-comma are for {', '.join(TEXT)}, not for {path.name}")
    if reader is None:
        raise UserError(f"{path} does not end in one of {', '.join(READERS)}")
    try:
        if path.stat().st_size == 0:
            raise UserError(f"{path.name} is empty")
        return reader(path, text or TextFormat(), words or Words())
    except MemoryError as error:
        raise UserError(f"{path.name} does not fit into memory") from error
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or 'cannot be read'}") from error


def _read_text(path: Path, form: TextFormat, words: Words) -> Table:
    """A text file of numbers, and of words, with or without a line of names; blank lines are left out."""
    import pyarrow as pa
    from pyarrow.csv import ConvertOptions, ParseOptions, ReadOptions, read_csv

    delimiter = form.separator("\t" if suffix_of(path).startswith(".tsv") else ",")
    columns, header_lines, warnings = _text_columns(path, delimiter, form)
    names = [str(index) for index in range(len(columns))]
    words.check(columns)
    free = {column for column in columns if words.may_be_in(column) or words.ignores(column)}
    types = [pa.string() if column in free else pa.float64() for column in columns]
    point = "," if form.decimal_comma else "."
    try:
        text = read_csv(
            path,
            ReadOptions(column_names=names, skip_rows=header_lines, block_size=16 * FIRST_LINE),
            ParseOptions(delimiter=delimiter),
            ConvertOptions(column_types=dict(zip(names, types)), decimal_point=point),
        )
    except pa.ArrowException as error:
        _find_bad_line(path, delimiter, header_lines, columns, form, words)
        raise UserError(f"{path.name} cannot be read as a table: {brief(str(error), 80)}") from error
    categories: dict[str, tuple[str, ...]] = {}
    numbers = []
    for column, cells in zip(columns, text.columns):
        if column not in free or words.ignores(column):
            numbers.append(cells.to_numpy() if column not in free else np.zeros(len(cells)))
            continue
        stripped = [cell.strip() for cell in cells.to_pylist()]
        if not all(stripped):
            _find_bad_line(path, delimiter, header_lines, columns, form, words)
        if column not in words.declared and all(map(form.is_number, stripped)):
            numbers.append(np.array([form.number(cell) for cell in stripped], np.float64))
            continue
        categories[column], places = _categories(path, column, stripped)
        numbers.append(places)
    values = np.stack(numbers, axis=1)
    if not _in_range(values).all():
        _find_bad_line(path, delimiter, header_lines, columns, form, replace(words, allowed=tuple(categories)))
    check_finite(path, values, columns)
    return Table(values, columns, (*warnings, *_found(categories, words)), categories)


def _categories(path: Path, column: str, cells: list[str]) -> tuple[tuple[str, ...], Float64[np.ndarray, " n"]]:
    """The words of a column, sorted, and the place of each cell among them.

    Raises:
        UserError: they are too many.
    """
    names, places = np.unique(np.array(cells, np.str_), return_inverse=True)
    if len(names) > MOST_CATEGORIES:
        raise UserError(
            f"{path.name}: column {brief(column)} holds {len(names):,} different words in {len(cells):,} rows; a "
            f"context has {MOST_CATEGORIES} categories at most"
        )
    return tuple(map(str, names)), places.astype(np.float64)


def _found(categories: dict[str, tuple[str, ...]], words: Words) -> list[str]:
    """What is said of columns that were found to hold words."""
    return [
        f"column {brief(column)} is taken for {len(names)} categories: {brief(', '.join(names), 60)}"
        for column, names in categories.items()
        if column not in words.declared
    ]


def _opened(path: Path, errors: str = "strict") -> io.TextIOWrapper:
    opener = gzip.open if suffix_of(path).endswith(".gz") else open
    return io.TextIOWrapper(cast(BinaryIO, opener(path, "rb")), newline="", encoding="utf-8-sig", errors=errors)


def _text_columns(path: Path, delimiter: str, form: TextFormat) -> tuple[tuple[str, ...], int, tuple[str, ...]]:
    """Names of the columns, how many lines of the file they take (0 without names), and doubts about them."""
    try:
        with _opened(path) as file:
            start = file.read(FIRST_LINE)
    except UnicodeDecodeError as error:
        raise UserError(f"{path.name} is not UTF-8 text") from error
    except gzip.BadGzipFile as error:
        raise UserError(f"{path.name} is not a gzip file") from error
    reader = csv.reader(io.StringIO(start, newline=""), delimiter=delimiter)
    try:
        lines = (cells for cells in reader if cells)
        first = next(lines, [])
        first_line = reader.line_num
        below = [cells for cells, _ in zip(lines, range(EVIDENCE)) if len(cells) == len(first)]
    except csv.Error as error:
        raise UserError(f"{path.name}, line {reader.line_num}: {error}") from error
    if not first:
        raise UserError(f"{path.name} is empty")
    _check_width(path, len(first))
    if len(start) == FIRST_LINE and "\n" not in start and "\r" not in start:
        raise UserError(f"{path.name}: its first line is longer than {FIRST_LINE:,} characters")
    _check_separator(path, first, below, delimiter, form)
    names, doubts = _holds_names(path, first_line, first, below, form)
    if not names:
        return numbered(len(first)), 0, doubts
    if not all(cell.strip() for cell in first):
        column = next(index for index, cell in enumerate(first) if not cell.strip()) + 1
        raise UserError(f"{path.name}, line {first_line}: column {column} has no name; leave an index column out")
    return tuple(cell.strip() for cell in first), first_line, doubts


def _check_separator(path: Path, first: list[str], below: list[list[str]], delimiter: str, form: TextFormat) -> None:
    """Refuse cells that look as if they were separated, or their decimals written, in another way."""
    if len(first) == 1:
        taken = "," if form.decimal_comma else delimiter
        for name, other in SEPARATORS.items():
            cells = [line[0].split(other) for line in [first, *below]]
            if other != taken and len(cells[0]) > 1 and len(set(map(len, cells))) == 1:
                raise UserError(f"{path.name}: its columns look separated by {name}: add --delimiter {name}")
    some = below[:10]
    if not form.decimal_comma and 2 * sum(any(map(_decimal_comma, line)) for line in some) > len(some):
        raise UserError(f"{path.name}: its numbers look written with decimal commas: add --decimal-comma")
    if delimiter == "," and form.delimiter is None and len(first) == 2 and _halves_of_numbers([first, *below]):
        raise UserError(
            f"{path.name}: its two columns look like one of decimal commas; say which by --delimiter comma, or by "
            "--delimiter semicolon --decimal-comma"
        )


def _decimal_comma(cell: str) -> bool:
    return not _is_number(cell) and cell.count(",") == 1 and _is_number(cell.replace(",", "."))


def _halves_of_numbers(lines: list[list[str]]) -> bool:
    """Whether the first cells are whole numbers, and the second such digits as follow a comma."""
    whole = all(first.strip().lstrip("+-").isdigit() for first, _ in lines)
    digits = [second for _, second in lines]
    if not whole or not all(cell.isdigit() for cell in digits):
        return False
    return any(len(cell) > 1 and cell[0] == "0" for cell in digits) or min(map(len, digits)) > 3


def _holds_names(
    path: Path, line: int, first: list[str], below: list[list[str]], form: TextFormat
) -> tuple[bool, tuple[str, ...]]:
    """Whether the first line holds names, and a doubt about that.

    Whole numbers that follow each other, above columns of which none is whole, are names: years, or the numbers of the
    columns.

    Raises:
        UserError: it cannot be told.
    """
    if form.header != "auto":
        return form.header == "yes", ()
    numbers = [form.is_number(cell) for cell in first if cell.strip()]
    if not (numbers and all(numbers)):
        doubt = f"line {line} of {path.name} is taken for names, though some of them are numbers"
        return True, ((doubt,) if any(numbers) else ())
    if not all(cell.strip().isdigit() for cell in first) or len(set(first)) < len(first) or not below:
        return False, ()
    fractions = [any(not cells[i].strip().lstrip("+-").isdigit() for cells in below) for i in range(len(first))]
    values = [int(cell) for cell in first]
    follow = len(values) > 1 and all(b - a == 1 for a, b in pairwise(values))
    if all(fractions) and follow:
        return True, (f"line {line} of {path.name}, {brief(','.join(first))}, is taken for names: --header no if not",)
    if all(fractions) or (follow and not any(fractions) and values[0] in (0, 1) and len(values) > 2):
        raise UserError(
            f"{path.name}: line {line}, {brief(','.join(first))}, may hold names or numbers: add --header yes or no"
        )
    return False, ()


def _find_bad_line(
    path: Path,
    delimiter: str,
    header_lines: int,
    columns: tuple[str, ...],
    form: TextFormat,
    words: Words,
) -> None:
    """Refuse the first line that does not hold a finite number for every column, if there is one, and no lines at all.

    Columns of words must hold something.

    Raises:
        UserError: naming the line of the file and the column.
    """
    with _opened(path, "replace") as file:
        for _ in range(header_lines):
            next(file)
        reader = csv.reader(file, delimiter=delimiter)
        try:
            for cells in filter(None, reader):
                _check_cells(cells, columns, form, words)
        except (csv.Error, UserError) as error:
            raise UserError(f"{path.name}, line {header_lines + reader.line_num}: {error}") from error
    if reader.line_num == 0:
        raise UserError(f"{path.name} has 0 rows")


def _check_cells(cells: list[str], columns: tuple[str, ...], form: TextFormat, words: Words) -> None:
    if len(cells) != len(columns):
        raise UserError(f"{len(cells):,} cells, but the first line has {len(columns):,}")
    for column, cell in zip(columns, cells):
        if words.ignores(column):
            continue
        if not cell.strip():
            raise UserError(f"nothing in column {brief(column)}")
        if words.may_be_in(column):
            continue
        if not form.is_number(cell):
            word = "; leave the column out by --drop, or name it by --given" if any(map(str.isalpha, cell)) else ""
            raise UserError(f"{brief(cell)} in column {brief(column)} is not a number{word}")
        if not _in_range(np.array(form.number(cell))):
            raise UserError(f"{brief(cell)} in column {brief(column)} is not a finite number in float32{OTHER_UNIT}")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return cell.isascii() and "_" not in cell


def _read_npy(path: Path, _: TextFormat, words: Words) -> Table:
    """A 1-D or 2-D array of real numbers."""
    _check_start(path, b"\x93NUMPY")
    try:
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise not_whole(path, error) from error
    return _with_declared(path, _array_table(path, array), words)


def npy_numbers(path: Path) -> tuple[RowFile, tuple[int, int], bool]:
    """The numbers of an .npy file, one a row, the shape of the table, and whether those of a column lie together.

    Raises:
        UserError: it is damaged, or holds no table of numbers.
    """
    _check_start(path, b"\x93NUMPY")
    try:
        array = np.lib.format.open_memmap(path, mode="r")
    except Exception as error:
        raise not_whole(path, error) from error
    _check_array(path, array)
    width = array.shape[1] if array.ndim == 2 else 1
    _check_width(path, width)
    numbers = RowFile(path.open("rb"), int(array.offset), array.dtype, (array.size, 1))
    return numbers, (len(array), width), not array.flags.c_contiguous


def _read_npz(path: Path, _: TextFormat, words: Words) -> Table:
    """The only array of an archive, or the one that is called x, data or samples; one called context goes with it."""
    _check_start(path, b"PK")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            names = arrays.files
            known = names if len(names) == 1 else [name for name in KNOWN_ARRAYS if name in names]
            array = arrays[known[0]] if known else None
            context = arrays[CONTEXT] if CONTEXT in names and len(names) > 1 else None
    except (MemoryError, OSError):
        raise
    except Exception as error:
        raise not_whole(path, error) from error
    if array is None:
        raise UserError(f"{path.name} holds {len(names):,} arrays; call the one to use {' or '.join(KNOWN_ARRAYS)}")
    table = _array_table(path, np.asarray(array))
    if context is not None:
        beside = _array_table(path, np.asarray(context), CONTEXT)
        if len(beside.values) != len(table.values):
            raise UserError(
                f"{path.name}: {len(table.values):,} rows of {known[0]}, but {len(beside.values):,} of {CONTEXT}"
            )
        values = np.concatenate([table.values, beside.values], axis=1)
        table = Table(values, (*table.columns, *beside.columns), given=beside.columns)
    return _with_declared(path, table, words)


def _with_declared(path: Path, table: Table, words: Words) -> Table:
    """The table with the numbers of columns that are declared to hold categories replaced by their places."""
    values, categories = table.values.copy(), {}
    for column in words.declared:
        if column in table.columns and column not in table.categories:
            index = table.columns.index(column)
            cells = [str(int(value)) if value.is_integer() else str(value) for value in values[:, index].tolist()]
            categories[column], values[:, index] = _categories(path, column, cells)
    return replace(table, values=values, categories=table.categories | categories)


def _check_array(path: Path, array: Shaped[np.ndarray, "..."]) -> None:
    if array.dtype.kind not in "fiu":
        raise UserError(f"{path.name} holds values of type {brief(str(array.dtype))}, not real numbers")
    if array.ndim not in (1, 2):
        raise UserError(f"{path.name} holds an array of {array.ndim} dimensions; a table has 2: rows and columns")


def _array_table(path: Path, array: Shaped[np.ndarray, "..."], name: str = "x") -> Table:
    _check_array(path, array)
    values = np.asarray(array[:, None] if array.ndim == 1 else array, np.float64)
    _check_width(path, values.shape[1])
    columns = numbered(values.shape[1], name)
    check_finite(path, values, columns)
    return Table(values, columns)


def _read_parquet(path: Path, _: TextFormat, words: Words) -> Table:
    """The columns of a Parquet file, without the index that pandas may have added."""
    from pyarrow.parquet import ParquetFile

    _check_start(path, b"PAR1")
    try:
        with ParquetFile(path) as file:
            fields = parquet_fields(path, file)
            columns = tuple(field.name for field in fields.values())
            of_words = [not is_number(field) for field in fields.values()]
            for field, wordy in zip(fields.values(), of_words):
                if wordy and not (words.may_be_in(field.name) or words.ignores(field.name)):
                    kind = brief(str(field.type))
                    raise UserError(f"{path.name}: column {brief(field.name)} holds values of type {kind}, not numbers")
            _check_width(path, len(columns))
            content = file.read()
            categories: dict[str, tuple[str, ...]] = {}
            parts = []
            for place, column, wordy in zip(fields, columns, of_words):
                if words.ignores(column):
                    parts.append(np.zeros(len(content)))
                    continue
                if not wordy:
                    parts.append(content.column(place).to_numpy().astype(np.float64))
                    continue
                cells = content.column(place).to_pylist()
                if None in cells:
                    where = f"row {cells.index(None) + 1:,} (the first is 1), column {brief(column)}"
                    raise UserError(f"{path.name}, {where}: nothing is there")
                categories[column], places = _categories(path, column, [str(cell) for cell in cells])
                parts.append(places)
            values = np.stack(parts, axis=1)
    except (MemoryError, UserError):
        raise
    except Exception as error:
        raise not_whole(path, error) from error
    check_finite(path, values, columns)
    found = tuple(_found(categories, words))
    return _with_declared(path, Table(values, columns, found, categories), words)


def parquet_fields(path: Path, file: "ParquetFile") -> dict[int, "pa.Field"]:
    """The columns of an open Parquet file by their places, without the index that pandas may have added.

    Raises:
        UserError: they are too many, or none.
    """
    schema = file.schema_arrow
    _check_width(path, len(schema))
    index = (schema.pandas_metadata or {}).get("index_columns", [])
    return {place: field for place, field in enumerate(schema) if field.name not in index}


def parquet_columns(path: Path) -> tuple[list["pa.Field"], int]:
    """The columns of a Parquet file, and how many rows it has.

    Raises:
        UserError: it is damaged, has too many columns, or two of one name.
    """
    from pyarrow.parquet import ParquetFile

    _check_start(path, b"PAR1")
    try:
        with ParquetFile(path) as file:
            fields, rows = list(parquet_fields(path, file).values()), int(file.metadata.num_rows)
    except UserError:
        raise
    except Exception as error:
        raise not_whole(path, error) from error
    names = [field.name for field in fields]
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"{path.name}: two columns are called {brief(name)}")
    return fields, rows


def is_number(field: "pa.Field") -> bool:
    """Whether a column of a Parquet file holds numbers."""
    import pyarrow as pa

    return bool(pa.types.is_integer(field.type) or pa.types.is_floating(field.type))


def _check_start(path: Path, magic: bytes) -> None:
    with path.open("rb") as file:
        if file.read(len(magic)) != magic:
            raise UserError(f"{path.name} is not a {path.suffix} file")


def not_whole(path: Path, error: Exception) -> UserError:
    """What is said of a file that is not what its suffix says."""
    if "Object arrays" in str(error):
        return UserError(f"{path.name} holds pickled Python objects, not numbers")
    return UserError(f"{path.name} is damaged: it cannot be read as a {path.suffix} file")


def _check_width(path: Path, width: int) -> None:
    if not 1 <= width <= MAX_COLUMNS:
        raise UserError(f"{path.name} has {width:,} columns; 1 to {MAX_COLUMNS:,} can be used")


def _in_range(values: Shaped[np.ndarray, "..."]) -> Shaped[np.ndarray, "..."]:
    """Where numbers neither overflow in float32 nor become 0 in it."""
    size = np.abs(values)
    return np.asarray((size < BEYOND_FLOAT32) & ((size > SMALLEST_FLOAT32) | (size == 0)))


def check_finite(path: Path, values: Float64[np.ndarray, "n D"], columns: tuple[str, ...], first: int = 0) -> None:
    """Refuse values that are no finite numbers in float32.

    Args:
        path: of the file.
        values: some rows of it.
        columns: their names.
        first: the number of the first of these rows, from 0.

    Raises:
        UserError: naming row and column.
    """
    good = _in_range(values)
    if not good.all():
        row, column = np.unravel_index(int(good.argmin()), good.shape)
        where = f"{path.name}, row {first + row + 1:,} (the first is 1), column {brief(columns[column])}"
        value = values[row, column]
        reason = f"it must be a finite number in float32{OTHER_UNIT if np.isfinite(value) else ''}"
        raise UserError(f"{where}: {value}{'' if np.isfinite(value) else ' or missing'}; {reason}")


def numbered(width: int, name: str = "x") -> tuple[str, ...]:
    """Names of columns that have none."""
    return tuple(f"{name}{index + 1}" for index in range(width))


READERS: dict[str, Callable[[Path, TextFormat, Words], Table]] = {
    ".csv": _read_text,
    ".tsv": _read_text,
    ".csv.gz": _read_text,
    ".tsv.gz": _read_text,
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
}
TEXT = tuple(suffix for suffix, reader in READERS.items() if reader is _read_text)
