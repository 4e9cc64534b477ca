"""The five tables that papers compare densities on, prepared and divided as by Papamakarios et al. (2017).

Their numbers are in the units of the papers, so that log-likelihoods of test rows can be compared: see
docs/density-estimation.md. The files are those of the archive that the authors published.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from pushforward.data.base import Dataset, Split
from pushforward.data.checks import repeated_values
from pushforward.data.downloads import Archive, unpacked
from pushforward.data.pickles import read_frame
from pushforward.data.text import brief
from pushforward.errors import UserError

Rows = Float64[np.ndarray, "_ D"]
Parts = tuple[Rows, Rows, Rows]

ARCHIVE = Archive("https://zenodo.org/records/1161203", "data.tar.gz", "data")
COUNTS = {
    "power": (1_659_917, 184_435, 204_928),
    "gas": (852_174, 94_685, 105_206),
    "hepmass": (315_123, 35_013, 174_987),
    "miniboone": (29_556, 3_284, 3_648),
    "bsds300": (1_000_000, 50_000, 250_000),
}
"""Rows of the published files to train on, for validation and for the test."""

POWER_COLUMNS = ("active_power", "voltage", "sub_metering_1", "sub_metering_2", "sub_metering_3", "time")
POWER_PLACES = (0, 2, 4, 5, 6, 7)
"""Of these among the eight columns of the file."""

NOT_SENSORS = ("Time", "Meth", "Eth")
CORRELATED = 0.98
FEATURES = 27
REPEATED = 5
FEWEST = 20
SEEN = 100_000
"""Rows in which values that repeat are looked for."""


def power(split: Split) -> Dataset:
    """2,049,280 minutes of a household's electricity, 6 numbers; noise as wide as their steps is added by a fixed seed.

    The rows are divided as in the papers, whatever `split` says; so are those of the other four.
    """
    values = _array(unpacked(ARCHIVE, "power/data.npy"), 8)
    rng = np.random.RandomState(42)
    rng.shuffle(values)
    voltage, active = rng.rand(len(values), 1), rng.rand(len(values), 1)
    meters = rng.rand(len(values), 3)
    values = values[:, POWER_PLACES]
    values[:, :5] += np.concatenate([0.001 * active, 0.01 * voltage, meters], axis=1)
    return _dataset("power", _standardised(_divided(values)), POWER_COLUMNS)


def gas(split: Split) -> Dataset:
    """1,052,065 readings of 16 chemical sensors in a mixture of gases, 8 of them, no two of which agree too well."""
    path = unpacked(ARCHIVE, "gas/ethylene_CO.pickle")
    frame = read_frame(path)
    sensors = np.array([name not in NOT_SENSORS for name in frame.columns])
    values, names = _checked(path, frame.values[:, sensors], 16), np.array(frame.columns)[sensors]
    # A sensor goes that agrees with one of those after it.
    kept = ~np.triu(np.corrcoef(values, rowvar=False) > CORRELATED, 1).any(axis=1)
    values = values[:, kept]
    values = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
    return _dataset("gas", _divided(values), tuple(map(str, names[kept])))


def hepmass(split: Split) -> Dataset:
    """525,123 simulated collisions that make a new particle, 21 of 27 features, those without many equal values."""
    paths = [unpacked(ARCHIVE, f"hepmass/1000_{part}.csv") for part in ("train", "test")]
    before, test = (_signal(path) for path in paths)
    mean, std = before.mean(axis=0), before.std(axis=0, ddof=1)
    # A feature whose smallest value occurs often is taken for one of few values.
    varied = (before == before.min(axis=0)).sum(axis=0) <= REPEATED
    before, test = (((rows - mean) / std)[:, varied] for rows in (before, test))
    names = tuple(f"f{index}" for index in np.flatnonzero(varied))
    return _dataset("hepmass", (*_last_tenth(before), test), names)


def miniboone(split: Split) -> Dataset:
    """36,488 events of a neutrino experiment, 43 features."""
    values = _array(unpacked(ARCHIVE, "miniboone/data.npy"), 43)
    return _dataset("miniboone", _standardised(_divided(values)), _numbered(43))


def bsds300(split: Split) -> Dataset:
    """1,300,000 grey patches of 8 x 8 pixels of photographs, without their mean and, as that is 0, their last pixel."""
    import h5py

    path = unpacked(ARCHIVE, "BSDS300/BSDS300.hdf5")
    try:
        with h5py.File(path) as file:
            parts = [np.asarray(file[name][...], np.float64) for name in ("train", "validation", "test")]
    except (OSError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not a whole HDF5 file of train, validation and test: {_said(error)}") from error
    train, validation, test = (_checked(path, part, 63) for part in parts)
    return _dataset("bsds300", (train, validation, test), _numbered(63))


def _array(path: Path, width: int) -> Rows:
    try:
        values = np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is not a whole .npy file: {_said(error)}") from error
    return _checked(path, values, width)


def _signal(path: Path) -> Rows:
    """The features of the rows of a text file whose first number, the label, is 1; further columns are left out."""
    import pyarrow as pa
    from pyarrow.csv import ReadOptions, read_csv

    try:
        content = read_csv(path, ReadOptions(skip_rows=1, autogenerate_column_names=True))
        columns = [content.column(index).to_numpy() for index in range(1 + FEATURES)]
    except (pa.ArrowException, IndexError) as error:
        raise UserError(f"{path} is not a whole table of labels and {FEATURES} features: {_said(error)}") from error
    return _checked(path, np.column_stack([column[columns[0] == 1] for column in columns[1:]]), FEATURES)


def _checked(path: Path, values: np.ndarray, width: int) -> Rows:
    """As many columns of finite numbers as there should be, none of one value, in double precision."""
    if values.ndim != 2 or values.shape[1] != width or values.dtype.kind not in "fiu":
        raise UserError(f"{path} holds {values.dtype} of shape {values.shape}; it must hold rows of {width} numbers")
    if not np.isfinite(values).all():
        raise UserError(f"{path} holds numbers that are not finite")
    if len(values) < FEWEST or not np.ptp(values, axis=0).all():
        raise UserError(f"{path} has fewer than {FEWEST} rows, or a column of one value")
    return values.astype(np.float64, copy=False)


def _divided(values: Rows) -> Parts:
    """Rows to train on, for validation and for the test, which are last."""
    before, test = _last_tenth(values)
    return (*_last_tenth(before), test)


def _last_tenth(values: Rows) -> tuple[Rows, Rows]:
    left = len(values) - len(values) // 10
    return values[:left], values[left:]


def _standardised(parts: Parts) -> Parts:
    """In standard deviations of the rows that are not for the test."""
    train, validation, test = parts
    before = np.concatenate([train, validation])
    mean, std = before.mean(axis=0), before.std(axis=0)
    return (train - mean) / std, (validation - mean) / std, (test - mean) / std


def _dataset(name: str, parts: Parts, columns: tuple[str, ...]) -> Dataset:
    """With a warning where the file is not the published one."""
    counts, published = tuple(map(len, parts)), COUNTS[name]
    warnings = [said for column, x in zip(columns, parts[0][:SEEN].T) for said in repeated_values(column, x)]
    if counts != published:
        there, papers = (" + ".join(f"{count:,}" for count in each) for each in (counts, published))
        warnings.append(f"{name} has {there} rows; results of papers are of {papers}")
    train, validation, test = (part.astype(np.float32) for part in parts)
    return Dataset(name, train, validation, test, columns, warnings=tuple(warnings))


def _numbered(width: int) -> tuple[str, ...]:
    return tuple(f"x{index}" for index in range(1, width + 1))


def _said(error: Exception) -> str:
    return brief(str(error), 80)


BENCHMARK_TABLES: dict[str, Callable[[Split], Dataset]] = {
    "power": power,
    "gas": gas,
    "hepmass": hepmass,
    "miniboone": miniboone,
    "bsds300": bsds300,
}
