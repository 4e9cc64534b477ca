"""The tables that papers compare densities on, from small files of the layout of their archive.

The numbers beside POWER and GAS were made by the steps of Papamakarios et al. in Python 2.7, NumPy 1.13 and pandas
0.20; `files/python2-frame.pickle` was written there.
"""

import os
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from pushforward.data import load
from pushforward.data.benchmark_tables import BENCHMARK_TABLES, COUNTS
from pushforward.data.pickles import read_frame
from pushforward.errors import UserError

FRAME = Path(__file__).parent / "files" / "python2-frame.pickle"
RNG = np.random.default_rng(0)
COLLISIONS = RNG.normal(size=(400, 27))
COLLISIONS[:, [3, 7]] = np.sign(COLLISIONS[:, [3, 7]])
LABELS = RNG.integers(2, size=400)
EVENTS = RNG.normal(size=(100, 43))
PATCHES = {name: RNG.normal(size=(rows, 63)) for name, rows in (("train", 60), ("validation", 30), ("test", 40))}


def collisions(path, labels, rows, more=()):
    names = ["# label", *(f"f{index}" for index in range(27)), *(f"mass{index}" for index, _ in enumerate(more))]
    content = np.column_stack([labels, rows, *(np.full(len(rows), number) for number in more)])
    np.savetxt(path, content, delimiter=",", header=",".join(names), comments="")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """A folder like that of the unpacked archive."""
    for folder in ("power", "gas", "hepmass", "miniboone", "BSDS300"):
        (tmp_path / folder).mkdir()
    np.save(tmp_path / "power" / "data.npy", np.sin(np.arange(800.0) ** 1.5).reshape(100, 8))
    shutil.copy(FRAME, tmp_path / "gas" / "ethylene_CO.pickle")
    collisions(tmp_path / "hepmass" / "1000_train.csv", LABELS[:300], COLLISIONS[:300])
    collisions(tmp_path / "hepmass" / "1000_test.csv", LABELS[300:], COLLISIONS[300:], more=(1000.0,))
    np.save(tmp_path / "miniboone" / "data.npy", EVENTS)
    with h5py.File(tmp_path / "BSDS300" / "BSDS300.hdf5", "w") as file:
        for name, rows in PATCHES.items():
            file[name] = rows.astype(np.float32)
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    return tmp_path


def test_power(archive):
    data = load("power", seed=5)
    assert data.rows == (81, 9, 10)
    assert data.columns[0] == "active_power"
    expected = {
        "train": [
            [1.08692, 0.40247, -1.85131, -0.81557, 1.04609, 1.51548],
            [-1.37857, -0.16349, 1.22531, -1.49062, 0.2002, 0.68862],
        ],
        "validation": [
            [-0.19906, -0.69681, 1.45914, -0.09679, -0.73707, -0.24481],
            [1.00107, -0.17409, -1.07353, -1.01536, 1.59675, -0.3227],
        ],
        "test": [
            [1.27112, 0.91221, 0.26667, -0.24231, -0.91737, 1.08093],
            [-1.05693, 1.50212, -0.45237, -0.60474, -1.43148, -0.02554],
        ],
    }
    for name, rows in expected.items():
        np.testing.assert_allclose(getattr(data, name)[[0, -1]], rows, atol=1e-5)


def test_gas(archive):
    data = load("gas")
    assert data.rows == (49, 5, 6)
    assert data.columns == ("S7", "S8", "S11", "S12", "S13", "S14", "S15", "S16")
    first = [-1.14581, 0.49441, -0.85733, 1.3851, -0.81284, 0.77036, -0.13425, 1.53292]
    last = [1.28813, 0.94382, 1.13068, 1.31785, 1.43727, 1.02165, 1.52824, 0.84377]
    np.testing.assert_allclose(data.train[0], first, atol=1e-5)
    np.testing.assert_allclose(data.test[-1], last, atol=1e-5)


def test_hepmass(archive):
    data = load("hepmass")
    signal, judged = COLLISIONS[:300][LABELS[:300] == 1], COLLISIONS[300:][LABELS[300:] == 1]
    held_out = len(signal) // 10
    assert data.rows == (len(signal) - held_out, held_out, len(judged))
    varied = [index for index in range(27) if index not in (3, 7)]
    assert data.columns == tuple(f"f{index}" for index in varied)
    before = np.concatenate([data.train, data.validation])
    expected = (signal - signal.mean(axis=0)) / signal.std(axis=0, ddof=1)
    np.testing.assert_allclose(before, expected[:, varied], atol=1e-5)
    expected = (judged - signal.mean(axis=0)) / signal.std(axis=0, ddof=1)
    np.testing.assert_allclose(data.test, expected[:, varied], atol=1e-5)


def test_miniboone(archive):
    data = load("miniboone")
    assert data.rows == (81, 9, 10)
    before = np.concatenate([data.train, data.validation]).astype(float)
    np.testing.assert_allclose(before.mean(axis=0), 0.0, atol=1e-6)
    np.testing.assert_allclose(before.std(axis=0), 1.0, atol=1e-6)
    everything = np.concatenate([before, data.test])
    np.testing.assert_allclose(everything, (EVENTS - EVENTS[:90].mean(axis=0)) / EVENTS[:90].std(axis=0), atol=1e-5)


def test_bsds300_is_left_as_it_is(archive):
    data = load("bsds300")
    for name, rows in PATCHES.items():
        np.testing.assert_allclose(getattr(data, name), rows, atol=1e-6)


@pytest.mark.parametrize("name", BENCHMARK_TABLES)
def test_other_counts_than_published_are_warned_of(archive, monkeypatch, name):
    data = load(name)
    assert any("results of papers are of" in warning for warning in data.warnings)
    monkeypatch.setitem(COUNTS, name, data.rows)
    assert not any("results of papers" in warning for warning in load(name).warnings)


def test_no_warning_advises_what_only_files_take(archive):
    """One value far from the others, and a column of few values, of which the density has no upper bound."""
    events = EVENTS.copy()
    events[5, 7] = 1e6
    events[:, 9] = np.sign(events[:, 9])
    np.save(archive / "miniboone" / "data.npy", events)
    few, counts = load("miniboone").warnings
    assert few.startswith("column 'x10' has 2 distinct values")
    assert "results of papers" in counts


@pytest.mark.parametrize("name", BENCHMARK_TABLES)
def test_where_to_get_what_is_missing(tmp_path, monkeypatch, name):
    monkeypatch.delenv("PUSHFORWARD_DATA", raising=False)
    with pytest.raises(UserError, match=r"not downloaded by pushforward: unpack data.tar.gz of https://zenodo"):
        load(name)
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"is not there: unpack data.tar.gz of https://zenodo"):
        load(name)


@pytest.mark.parametrize("name", BENCHMARK_TABLES)
@pytest.mark.parametrize("content", [b"", b"garbage", b"\x80\x04"])
def test_what_is_no_such_file_is_refused(archive, name, content):
    for path in archive.glob("*/*"):
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"is not a whole|holds") as error:
        load(name)
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values[:, 1:], "must hold rows of 43 numbers"),
        (lambda values: values[0], "must hold rows of 43 numbers"),
        (lambda values: values.astype("U8"), "must hold rows of 43 numbers"),
        (lambda values: np.where(values == values.max(), np.nan, values), "not finite"),
        (lambda values: values[:19], "fewer than 20 rows"),
        (lambda values: np.concatenate([values[:, :42], np.ones((100, 1))], axis=1), "a column of one value"),
    ],
)
def test_unusable_numbers_are_refused(archive, change, message):
    np.save(archive / "miniboone" / "data.npy", change(EVENTS))
    with pytest.raises(UserError, match=message):
        load("miniboone")


def test_a_frame_that_is_cut_off_is_refused(tmp_path):
    content = FRAME.read_bytes()
    path = tmp_path / "frame.pickle"
    path.write_bytes(content[:-200])
    with pytest.raises(UserError, match="is not a whole pickle of a data frame"):
        read_frame(path)


@pytest.mark.parametrize(
    "asked", [b"os\nsystem", b"pandasy\neval", b"builtins\neval", b"numpy\nload", b"numpy\nmemmap"]
)
def test_a_frame_that_runs_code_is_refused_and_does_not_run(tmp_path, asked):
    path, target = tmp_path / "frame.pickle", tmp_path / "run"
    path.write_bytes(b"c" + asked + b"\n(S'touch " + os.fsencode(target) + b"'\ntR.")
    with pytest.raises(UserError, match="it asks for"):
        read_frame(path)
    assert not target.exists()


def test_parts_of_pandas_are_never_called(tmp_path):
    path, target = tmp_path / "frame.pickle", tmp_path / "written.csv"
    path.write_bytes(b"cpandas.io.pickle\nto_pickle\n(I1\nS'" + os.fsencode(target) + b"'\ntR.")
    with pytest.raises(UserError, match="is not a whole pickle of a data frame"):
        read_frame(path)
    assert not target.exists()
