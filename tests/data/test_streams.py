"""Tables that stay on disk."""

import tracemalloc
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas
import pytest

from pushforward.data import TableOptions, load
from pushforward.data import streams as streams_module
from pushforward.data.streams import looked_at, stays_on_disk
from pushforward.errors import UserError

N = 5_000


@pytest.fixture
def frame():
    """A table of dependent columns."""
    rng = np.random.default_rng(0)
    values = (rng.normal(size=(N, 4)) @ rng.normal(size=(4, 4))).astype(np.float32)
    return pandas.DataFrame(values, columns=list("abcd"))


def write(frame, folder, suffix):
    path = folder / f"table{suffix}"
    if suffix == ".npy":
        np.save(path, np.ascontiguousarray(frame))
    elif suffix == ".npy, by columns":
        path = folder / "table.npy"
        np.save(path, np.asfortranarray(frame))
    else:
        frame.to_parquet(path, row_group_size=700)
    return str(path)


def streamed(path, **options):
    return load(path, options=TableOptions(stream="yes", **options))


def rows_of(parts):
    """The rows as a set."""
    return {tuple(row) for row in np.asarray(parts)}


@pytest.mark.parametrize("suffix", [".npy", ".npy, by columns", ".parquet"])
def test_the_parts_are_the_whole_table(suffix, frame, tmp_path):
    data = streamed(write(frame, tmp_path, suffix))
    assert data.rows == (N - 1000, 500, 500)
    train, contexts = data.windows(0)
    assert contexts is None
    parts = [rows_of(part) for part in (train, data.validation, data.test)]
    assert [len(part) for part in parts] == list(data.rows)
    assert set.union(*parts) == rows_of(frame)
    assert rows_of(data.train) == parts[0]


@pytest.mark.parametrize("suffix", [".npy", ".npy, by columns", ".parquet"])
def test_a_large_table_is_looked_at_in_part(suffix, frame, tmp_path, monkeypatch):
    monkeypatch.setattr(streams_module, "NUMBERS", 4 * 1000)
    monkeypatch.setattr(streams_module, "HELD_OUT", 4 * 100)
    monkeypatch.setattr(streams_module, "AT_ONCE", 333)
    data = streamed(write(frame, tmp_path, suffix))
    assert (len(data.train), *data.rows) == (1000, N - 200, 100, 100)
    assert rows_of(data.train) < rows_of(data.windows(0)[0])
    assert len(looked_at(data).values) == 1000


def test_columns_and_contexts_are_those_of_the_table_read_whole(frame, tmp_path):
    options = {"given": ("d", "b"), "drop": ("a",)}
    for suffix, names in ((".parquet", options), (".npy", {"given": ("x4", "x2"), "drop": ("x1",)})):
        path = write(frame, tmp_path, suffix)
        data, whole = streamed(path, **names), load(path, options=TableOptions(**names))
        assert data.columns == whole.columns
        assert data.given.columns == whole.given.columns
        rows, contexts = data.windows(0)
        assert rows_of(np.concatenate([rows, contexts], axis=1)) <= rows_of(frame[["c", "b", "d"]])
        assert contexts.shape == (4000, 2)


def test_dropped_rows_are_nowhere(frame, tmp_path):
    data = streamed(write(frame, tmp_path, ".npy"), drop_rows=(1, 5000, 1))
    assert data.rows == (N - 1002, 500, 500)
    seen = rows_of(np.concatenate([data.windows(0)[0], data.train, data.validation, data.test]))
    assert rows_of(frame) - seen == rows_of(frame.iloc[[0, 4999]])


def test_the_digest_tells_of_any_number(frame, tmp_path):
    first = streamed(write(frame, tmp_path, ".npy")).digest
    assert streamed(write(frame, tmp_path, ".parquet")).digest == first
    frame.loc[3333, "c"] += 1
    assert streamed(write(frame, tmp_path, ".npy")).digest != first


def test_repeated_rows_are_told(frame, tmp_path):
    frame.iloc[1] = frame.iloc[0]
    (warning,) = streamed(write(frame, tmp_path, ".npy")).warnings
    assert "1 of 5,000 rows looked at repeat another" in warning


def test_what_stays_on_disk(frame, tmp_path, monkeypatch):
    path = tmp_path / "table.npy"
    np.save(path, frame.to_numpy())
    assert not stays_on_disk(path, TableOptions())
    monkeypatch.setattr(streams_module, "SMALL_FILE", 1000)
    monkeypatch.setattr(streams_module, "LARGE", N * 4 - 1)
    assert stays_on_disk(path, TableOptions())
    assert not stays_on_disk(path, TableOptions(stream="no"))
    assert load(str(path)).windows is not None


def bad(frame, tmp_path, change, suffix):
    change(frame)
    return write(frame, tmp_path, suffix)


def set_cell(value):
    return lambda frame: frame.__setitem__("c", frame["c"].where(frame.index != 4321, value))


@pytest.mark.parametrize(
    ("change", "suffix", "options", "words"),
    [
        (set_cell(np.nan), ".npy", {}, "row 4,322 .* column 'x3': nan or missing"),
        (set_cell(np.inf), ".parquet", {}, "row 4,322 .* column 'c': inf"),
        (set_cell(1.0), ".npy", {"drop": ("x7",)}, "there is no column 'x7'"),
        (set_cell(1.0), ".npy", {"log": ("x1",)}, "--log takes positive numbers, but row"),
        (set_cell(1.0), ".npy", {"categorical": ("x1",), "given": ("x1",)}, "column 'x1' holds words"),
        (set_cell(1.0), ".npy", {"drop_rows": (5001,)}, "no row 5001"),
        (lambda frame: frame.__setitem__("c", 1.0), ".npy", {}, "column 'x3' is constant"),
        (lambda frame: frame.__setitem__("d", 2 * frame["a"]), ".npy", {}, "determine each other"),
        (lambda frame: frame.__setitem__("c", "word"), ".parquet", {}, "column 'c' holds words"),
    ],
)
def test_bad_files_are_refused(change, suffix, options, words, frame, tmp_path):
    path = bad(frame, tmp_path, change, suffix)
    with pytest.raises(UserError, match=words):
        streamed(path, **options)


def test_too_few_rows_are_refused(frame, tmp_path):
    with pytest.raises(UserError, match="9 rows; at least 10"):
        streamed(write(frame[:9], tmp_path, ".npy"))


def test_other_files_are_refused(frame, tmp_path):
    frame.to_csv(tmp_path / "table.csv", index=False)
    (tmp_path / "cut.npy").write_bytes(Path(write(frame, tmp_path, ".npy")).read_bytes()[:5000])
    (tmp_path / "cut.parquet").write_bytes(b"PAR1")
    for name, words in (
        ("table.csv", "--stream is for tables in .npy and .parquet"),
        ("cut.npy", "is damaged"),
        ("cut.parquet", "is damaged"),
    ):
        with pytest.raises(UserError, match=words):
            streamed(str(tmp_path / name))


def test_a_full_disk_is_told(frame, tmp_path, monkeypatch):
    monkeypatch.setattr(streams_module.tempfile, "TemporaryFile", partial(open, "/dev/full", "wb"))
    with pytest.raises(UserError, match="No space left on device; TMPDIR names another folder"):
        streamed(write(frame, tmp_path, ".parquet"))


@pytest.mark.parametrize("suffix", [".npy", ".npy, by columns", ".parquet"])
def test_memory_is_that_of_a_window(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(streams_module, "NUMBERS", 4 * 4096)
    monkeypatch.setattr(streams_module, "HELD_OUT", 4 * 1024)
    monkeypatch.setattr(streams_module, "AT_ONCE", 4096)
    values = np.random.default_rng(0).normal(size=(1_000_000, 4)).astype(np.float32)
    path = write(pandas.DataFrame(values, columns=list("abcd")), tmp_path, suffix)
    tracemalloc.start()
    try:
        data = streamed(path)
        replace(data.windows, numbers=4 * 4096)(0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < values.nbytes / 4


def test_images_are_not_streamed(tmp_path):
    np.save(tmp_path / "images.npy", np.zeros((40, 4, 4), np.uint8))
    with pytest.raises(UserError, match="images, which are read whole"):
        streamed(str(tmp_path / "images.npy"))
