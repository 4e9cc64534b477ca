"""Tables from files: what is read, and what is refused with a line that says where."""

import contextlib
import time

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from pushforward.data import load
from pushforward.errors import UserError

ROWS = np.random.default_rng(0).normal(size=(40, 3))


def csv_text(rows=ROWS, header="a,b,c", delimiter=","):
    lines = [header.replace(",", delimiter)] if header else []
    return "\n".join([*lines, *(delimiter.join(f"{x:.17g}" for x in row) for row in rows)]) + "\n"


def everything(dataset):
    return np.concatenate([dataset.train, dataset.validation, dataset.test])


def assert_holds(dataset, rows):
    """The same rows in some order, in float32."""
    rows = np.asarray(rows, np.float32)
    found = everything(dataset)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[np.lexsort(found.T)], rows[np.lexsort(rows.T)])


def write_csv(path, rows):
    path.write_text(csv_text(rows))


def write_tsv(path, rows):
    path.write_text(csv_text(rows, delimiter="\t"))


def write_parquet(path, rows):
    parquet.write_table(pa.table(dict(zip("abc", rows.T))), path)


WRITERS = {
    ".csv": write_csv,
    ".CSV": write_csv,
    ".tsv": write_tsv,
    ".npy": lambda path, rows: np.save(path, rows),
    ".npz": lambda path, rows: np.savez(path, anything=rows),
    ".parquet": write_parquet,
}


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_kind_of_file_is_read(tmp_path, suffix):
    path = tmp_path / f"mine{suffix}"
    WRITERS[suffix](path, ROWS)
    dataset = load(str(path), seed=3)
    assert (dataset.name, dataset.shape, dataset.levels, dataset.log_density) == (path.name, (3,), None, None)
    assert dataset.columns == (("x1", "x2", "x3") if suffix.startswith(".np") else ("a", "b", "c"))
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [32, 4, 4]
    assert dataset.warnings == ()
    assert_holds(dataset, ROWS)


TEXTS = {
    "no header": (csv_text(header=""), ("x1", "x2", "x3")),
    "quoted header": (csv_text(header='"first, of all",b,c'), ("first, of all", "b", "c")),
    "header over two lines": (csv_text(header='"a\nb",b,c'), ("a\nb", "b", "c")),
    "blank lines": ("\n\n" + csv_text().replace("\n", "\n\n"), ("a", "b", "c")),
    "byte order mark": ("\ufeff" + csv_text(), ("a", "b", "c")),
    "byte order mark, no header": ("\ufeff" + csv_text(header=""), ("x1", "x2", "x3")),
    "DOS": (csv_text().replace("\n", "\r\n"), ("a", "b", "c")),
    "no last newline": (csv_text().rstrip("\n"), ("a", "b", "c")),
    "spaces": (csv_text(header="a, b ,c").replace(",", " , "), ("a", "b", "c")),
    "the same name twice": (csv_text(header="a,a,c"), ("a", "a", "c")),
}


@pytest.mark.parametrize("case", TEXTS)
def test_shapes_of_csv(tmp_path, case):
    text, columns = TEXTS[case]
    path = tmp_path / "mine.csv"
    path.write_bytes(text.encode())
    dataset = load(str(path))
    assert dataset.columns == columns
    assert_holds(dataset, ROWS)


def test_integers_and_one_dimension(tmp_path):
    np.save(tmp_path / "mine.npy", np.arange(30, dtype=np.int16))
    dataset = load(str(tmp_path / "mine.npy"))
    assert (dataset.shape, dataset.columns) == ((1,), ("x1",))
    assert_holds(dataset, np.arange(30)[:, None])


@pytest.mark.parametrize("name", ["x", "data", "samples"])
def test_archive_with_a_known_name(tmp_path, name):
    np.savez(tmp_path / "mine.npz", **{name: ROWS, "log_prob": ROWS[:, 0]})
    assert_holds(load(str(tmp_path / "mine.npz")), ROWS)


def test_index_of_pandas_is_left_out(tmp_path):
    table = pa.table({"a": ROWS[:, 0], "__index_level_0__": np.arange(40)})
    metadata = {b"pandas": b'{"index_columns": ["__index_level_0__"], "columns": []}'}
    parquet.write_table(table.replace_schema_metadata(metadata), tmp_path / "mine.parquet")
    assert load(str(tmp_path / "mine.parquet")).columns == ("a",)


def replaced(line, text):
    """The CSV text with a line of the file, counted from 1, replaced."""
    lines = csv_text().split("\n")
    lines[line - 1] = text
    return "\n".join(lines)


LONG = csv_text(np.ones((30_000, 3)) * ROWS[0])
BAD_TEXTS = {
    "word": (replaced(7, "1,hello,3"), "line 7: 'hello' in column 'b' is not a number"),
    "long word": (replaced(7, "1," + "hello" * 1000 + ",3"), r"line 7: 'hello.*\.\.\.' in column 'b' is not a number"),
    "nan": (replaced(41, "1,2,nan"), "line 41: 'nan' in column 'c' is not a finite number"),
    "infinite": (replaced(2, "-inf,2,3"), "line 2: '-inf' in column 'a' is not a finite number"),
    "beyond float32": (replaced(9, "1,1e39,3"), "line 9: '1e39' in column 'b' is not a finite number"),
    "missing": (replaced(5, "1,,3"), "line 5: nothing in column 'b'"),
    "quoted nothing": (replaced(5, '1,"",3'), "line 5: nothing in column 'b'"),
    "NA": (replaced(5, "1,NA,3"), "line 5: 'NA' in column 'b' is not a number"),
    "missing in the first line": (csv_text([[1, 2, 3]], "").replace("2", ""), "line 1: nothing in column 'x2'"),
    "after blank lines": ("\n\n" + replaced(4, "\n1,oops,3"), "line 7: 'oops' in column 'b'"),
    "after a header over two lines": (
        replaced(3, "1,oops,3").replace("a", '"a\na"', 1),
        "line 4: 'oops' in column 'b'",
    ),
    "no header": (csv_text(header="") + "1,oops,3", "line 41: 'oops' in column 'x2'"),
    "hexadecimal": (replaced(5, "1,0x10,3"), "line 5: '0x10' in column 'b'"),
    "underscore": (replaced(5, "1,1_0,3"), "line 5: '1_0' in column 'b'"),
    "decimal comma": (replaced(5, '1,"1,5",3'), "line 5: '1,5' in column 'b' is not a number"),
    "other digits": (replaced(5, "1,٣,3"), "line 5: '٣' in column 'b'"),
    "a line in a cell": (replaced(5, '1,"2\n3",3'), r"line 6: '2\\n3' in column 'b' is not a number"),
    "too few cells": (replaced(6, "1,2"), "line 6: 2 cells, but the first line has 3"),
    "too many cells": (replaced(6, "1,2,3,4"), "line 6: 4 cells, but the first line has 3"),
    "far too many cells": (replaced(6, "1," * 10**5), "line 6: 100,001 cells"),
    "open quote": (replaced(6, '1,2,"3'), r"line \d+: '3.*\.\.\.' in column 'c' is not a number"),
    "control characters": (replaced(6, "1,2,\x1b[2J\x00"), r"line 6: '\\x1b\[2J\\x00' in column 'c'"),
    "what takes long to show": (replaced(6, "1,2," + "\U0001f600\u2028" * 50), "line 6: '.* in column 'c'"),
    "constant": (csv_text(ROWS * [1, 0, 1] + [0, 7, 0]), "column 'b' is constant, 7 in all 32 rows"),
    "constant in float32": (csv_text(ROWS + np.array([0, 1e12, 0])), "column 'b' is constant, 1e.12"),
    "long name": (csv_text(ROWS * [1, 0, 1], f"a,{'b' * 1000},c"), r"column 'b+\.\.\.' is constant"),
    "name of two lines": (csv_text(ROWS * [1, 0, 1], 'a,"b\nb",c'), r"column 'b\\nb' is constant"),
    "one row": (csv_text(ROWS[:1]), "has 1 row; at least 10"),
    "too few rows": (csv_text(ROWS[:9]), "has 9 rows; at least 10"),
    "header alone": (csv_text(ROWS[:0]), "has 0 rows"),
    "header alone, no newline": ("a,b,c", "has 0 rows"),
    "empty": ("", "is empty"),
    "blank": ("\n\n\r\n", "is empty"),
    "index": (csv_text(header=",b,c"), "line 1: column 1 has no name; leave an index column out"),
    "a million names": (",".join(f"name{i}" for i in range(10**6)) + "\n", "columns; 1 to 10,000 can be used"),
    "a million numbers": ("1," * 10**6 + "1\n", "columns; 1 to 10,000 can be used"),
    "a long name": ("x" * 10**6 + ",y\n1,2\n", "line 1: field larger than field limit"),
    "long first line": (",".join(["x" * 120_000] * 10) + "\n", "first line is longer than 1,048,576 characters"),
    "Latin": ("Größe,b\n1,2\n".encode("latin-1"), "is not UTF-8 text"),
    "Latin, far below": (LONG.encode() + b"1,\xe9,3\n", "line 30002: '�' in column 'b'"),
    "UTF-16": (csv_text().encode("utf-16"), "is not UTF-8 text"),
    "binary": (bytes(range(256)) * 100, "is not UTF-8 text"),
    "semicolons": (csv_text(delimiter=";"), "columns look separated by semicolon: add --delimiter semicolon"),
}


@pytest.mark.parametrize("case", BAD_TEXTS)
def test_unusable_csv_is_refused(tmp_path, case):
    text, message = BAD_TEXTS[case]
    path = tmp_path / "mine.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert_refused(path, message)


def assert_refused(path, message):
    start = time.perf_counter()
    with pytest.raises(UserError, match=message) as error:
        load(str(path))
    assert time.perf_counter() - start < 30
    assert str(error.value).startswith("mine")
    assert len(str(error.value)) < 200
    assert str(error.value).isprintable()


def test_tsv_is_refused_alike(tmp_path):
    (tmp_path / "mine.tsv").write_text(csv_text(delimiter="\t") + "1\toops\t3\n")
    assert_refused(tmp_path / "mine.tsv", "line 42: 'oops' in column 'b'")


def spoiled(value):
    rows = ROWS.copy()
    rows[6, 1] = value
    return rows


BAD_ARRAYS = {
    "nan": (spoiled(np.nan), r"row 7 \(the first is 1\), column 'x2': nan"),
    "infinite": (spoiled(-np.inf), r"row 7 .*, column 'x2': -inf"),
    "beyond float32": (spoiled(1e39), r"row 7 .*, column 'x2': 1e\+39; .* another unit"),
    "constant": (ROWS * [1, 1, 0], "column 'x3' is constant, 0 in all 32 rows"),
    "one row": (ROWS[:1], "has 1 row; at least 10"),
    "nine numbers": (np.arange(9), "has 9 rows"),
    "nothing": (ROWS[:0], "has 0 rows"),
    "no columns": (ROWS[:, :0], "has 0 columns"),
    "no values": (np.zeros(0), "has 0 rows"),
    "too many columns": (np.zeros((2, 10_001)), "has 10,001 columns; 1 to 10,000"),
    "one number": (np.float64(1), "an array of 0 dimensions"),
    "images": (np.zeros((40, 8, 8), np.uint8), "an array of 3 dimensions|every pixel is 0"),
    "complex": (ROWS * 1j, "values of type 'complex128'"),
    "boolean": (ROWS > 0, "values of type 'bool'"),
    "words": (np.array(["a"] * 40), "values of type '<U1'"),
    "dates": (np.arange(40).astype("datetime64[s]"), "values of type 'datetime64"),
    "records": (np.zeros(40, [(f"field{i}", float) for i in range(100)]), r"values of type .*\.\.\."),
    "objects": (np.array([[1, "a"]] * 40, object), "holds pickled Python objects"),
}


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_unusable_arrays_are_refused(tmp_path, case, suffix):
    array, message = BAD_ARRAYS[case]
    path = tmp_path / f"mine{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, array)
    assert_refused(path, message)


def test_archives_are_refused(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, first=ROWS, second=ROWS)
    assert_refused(path, "holds 2 arrays; call the one to use x or data or samples")
    np.savez(path)
    assert_refused(path, "holds 0 arrays")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet"])
@pytest.mark.parametrize("length", [3, 10, 100, 0.5, 0.99])
def test_truncated_files_are_refused(tmp_path, suffix, length):
    path = tmp_path / f"mine{suffix}"
    WRITERS[suffix](path, ROWS)
    content = path.read_bytes()
    path.write_bytes(content[: length if isinstance(length, int) else int(length * len(content))])
    assert_refused(path, "is not a|is damaged")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".parquet"])
@pytest.mark.parametrize("start", [b"", b"\x93NUMPY\x01\x00", b"PK\x03\x04", b"PAR1", b"\x80\x04\x95"])
def test_garbage_is_refused(tmp_path, suffix, start):
    path = tmp_path / f"mine{suffix}"
    path.write_bytes(start + np.random.default_rng(0).bytes(1000))
    assert_refused(path, "is not a|is damaged")


def test_larger_than_memory_is_refused(tmp_path):
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (100000000000000, 3), }".ljust(117) + "\n"
    (tmp_path / "mine.npy").write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    assert_refused(tmp_path / "mine.npy", "does not fit into memory")


@pytest.mark.parametrize("position", range(0, 600, 7))
def test_a_changed_byte_never_ends_in_a_traceback(tmp_path, position):
    for suffix in (".npy", ".npz", ".parquet"):
        path = tmp_path / f"mine{suffix}"
        WRITERS[suffix](path, ROWS)
        content = bytearray(path.read_bytes())
        content[position % len(content)] ^= 0xFF
        content[-1 - position % len(content)] ^= 0xFF
        path.write_bytes(content)
        with contextlib.suppress(UserError):
            load(str(path))


BAD_COLUMNS = {
    "missing": ([None if i == 4 else float(i) for i in range(40)], "row 5 .*, column 'b': nan or missing"),
    "missing integer": ([None if i == 4 else i for i in range(40)], "row 5 .*, column 'b': nan or missing"),
    "infinite": ([np.inf if i == 4 else float(i) for i in range(40)], "row 5 .*, column 'b': inf"),
    "words": (["a"] * 40, "column 'b' holds values of type 'string'"),
    "truths": ([True, False] * 20, "column 'b' holds values of type 'bool'"),
    "lists": ([[1.0]] * 40, "column 'b' holds values of type 'list<"),
    "nothing": ([None] * 40, "column 'b' holds values of type 'null'"),
    "constant": ([2.5] * 40, "column 'b' is constant, 2.5"),
}


@pytest.mark.parametrize("case", BAD_COLUMNS)
def test_unusable_parquet_is_refused(tmp_path, case):
    column, message = BAD_COLUMNS[case]
    parquet.write_table(pa.table({"a": ROWS[:, 0], "b": column}), tmp_path / "mine.parquet")
    assert_refused(tmp_path / "mine.parquet", message)


def test_sizes_of_parquet_are_refused(tmp_path):
    path = tmp_path / "mine.parquet"
    parquet.write_table(pa.table({"a": ROWS[:5, 0]}), path)
    assert_refused(path, "has 5 rows")
    parquet.write_table(pa.table({"a": ROWS[:0, 0]}), path)
    assert_refused(path, "has 0 rows")
    parquet.write_table(pa.table({}), path)
    assert_refused(path, "has 0 columns")
    parquet.write_table(pa.table({f"c{i}": [0.0] for i in range(10_001)}), path)
    assert_refused(path, "has 10,001 columns")


@pytest.mark.parametrize("metadata", [b"not JSON", b'{"index_columns": null}'])
def test_damaged_metadata_of_pandas_is_refused(tmp_path, metadata):
    table = pa.table({"a": ROWS[:, 0]}).replace_schema_metadata({b"pandas": metadata})
    parquet.write_table(table, tmp_path / "mine.parquet")
    assert_refused(tmp_path / "mine.parquet", "is damaged")


def test_a_name_given_twice_in_parquet(tmp_path):
    parquet.write_table(pa.table([ROWS[:, 0], ROWS[:, 1]], names=["a", "a"]), tmp_path / "mine.parquet")
    assert_holds(load(str(tmp_path / "mine.parquet")), ROWS[:, :2])


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.csv", "No such file"),
        ("none.npy", "No such file"),
        ("folder.csv", "Is a directory"),
        ("folder.parquet", "Is a directory"),
        ("table.xlsx", "does not end in one of .csv, .tsv, .csv.gz, .tsv.gz, .npy, .npz, .parquet"),
        ("folder", "does not end in one of"),
    ],
)
def test_unusable_paths_are_refused(tmp_path, name, message):
    if name.startswith("folder"):
        (tmp_path / name).mkdir()
    elif name.startswith("table"):
        (tmp_path / name).write_text("x")
    with pytest.raises(UserError, match=message) as error:
        load(str(tmp_path / name))
    assert str(tmp_path / name) in str(error.value)


def test_repeated_values_are_warned_of(tmp_path):
    columns = np.stack([ROWS[:, 0], np.arange(40) % 2, np.where(np.arange(40) < 10, 0, ROWS[:, 2])], axis=1)
    (tmp_path / "mine.csv").write_text(csv_text(columns))
    flag, atom = load(str(tmp_path / "mine.csv")).warnings
    assert flag == "column 'b' has 2 distinct values in 40 rows, 20 of them 0: a density of it has no upper bound"
    assert atom == "column 'c' has 31 distinct values in 40 rows, 10 of them 0: a density of it has no upper bound"


def test_a_column_that_float32_spoils_is_warned_of(tmp_path):
    (tmp_path / "mine.csv").write_text(csv_text(ROWS * [1, 1000, 1] + [0, 1e8, 0]))
    warnings = load(str(tmp_path / "mine.csv")).warnings
    assert "column 'b' varies by too little for float32: subtract a constant from it" in warnings


def test_many_warnings_are_cut(tmp_path):
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).integers(2, size=(100, 50)))
    warnings = load(str(tmp_path / "mine.npy")).warnings
    assert len(warnings) == 6
    assert warnings[-1] == "45 more warnings of this kind"


def test_names_that_may_be_numbers_are_warned_of(tmp_path):
    (tmp_path / "mine.csv").write_text(csv_text(header="1.5,oops,2"))
    assert load(str(tmp_path / "mine.csv")).warnings == (
        "line 1 of mine.csv is taken for names, though some of them are numbers",
    )
