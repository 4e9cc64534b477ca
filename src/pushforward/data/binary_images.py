"""Sets of images of zeros and ones, divided officially into three parts."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pushforward.data.base import Dataset, Split
from pushforward.data.downloads import Source, fetch
from pushforward.errors import UserError

SIDE = 28
PIXELS = SIDE**2
DIGITS = {
    "binarized_mnist_train.amat": 50_000,
    "binarized_mnist_valid.amat": 10_000,
    "binarized_mnist_test.amat": 10_000,
}
SILHOUETTES = "caltech101_silhouettes_28_split1.mat"
PARTS = {"train_data": 4_100, "val_data": 2_264, "test_data": 2_307}

BINARIZED_MNIST = Source(
    "binarized-mnist",
    ("http://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/",),
    {
        "binarized_mnist_train.amat": "ad693b29f94c14277b095f5238ddefbbdaaae0939789dd2f4f0205278cee3e4d",
        "binarized_mnist_valid.amat": "1de3d397c40fe8eeb33dafd4099a1f665ec01e96d9be234aaeeac8a34930e2e2",
        "binarized_mnist_test.amat": "e6687bfea3f820c174f33b7865140b2a2dd2930ef786f35d45795fc193b5ab2c",
    },
)
CALTECH_101 = Source(
    "caltech101-silhouettes",
    ("https://people.cs.umass.edu/~marlin/data/",),
    {SILHOUETTES: "eb6735e8d84b1850fabc5590124aab1755e90c9fd28123585324398405e1e42a"},
)


def binarized_mnist(split: Split) -> Dataset:
    """70,000 digits of MNIST, 28 x 28 pixels of 0 or 1 (Larochelle & Murray, 2011); three official parts.

    The test digits are sorted in their file, and shuffled here, so that the first ones are of all kinds.
    """
    train, validation, test = (read_amat(fetch(BINARIZED_MNIST, file), rows) for file, rows in DIGITS.items())
    test = np.random.default_rng(split.seed).permutation(test)
    return Dataset("binarized-mnist", train, validation, test, levels=2)


def silhouettes(split: Split) -> Dataset:
    """8,671 shapes of 28 x 28 pixels, 0 inside and 1 around them (Marlin et al., 2010); three official parts."""
    train, validation, test = read_silhouettes(fetch(CALTECH_101, SILHOUETTES), PARTS)
    return Dataset("silhouettes", train, validation, test, levels=2)


def read_amat(path: Path, rows: int) -> UInt8[np.ndarray, "rows 28 28 1"]:
    """The images in a text file with 784 zeros and ones in each of its `rows` lines.

    Raises:
        UserError: it is no such file, or not whole.
    """
    raw = path.read_bytes()
    if len(raw) != rows * PIXELS * 2:
        raise UserError(f"{path} holds {len(raw):,} bytes; {rows:,} lines of {PIXELS} digits are {rows * PIXELS * 2:,}")
    cells = np.frombuffer(raw, np.uint8).reshape(rows, PIXELS, 2)
    values, separators = cells[..., 0] - np.uint8(ord("0")), cells[..., 1]
    right = (values.max(1) <= 1) & (separators == np.frombuffer(b" " * (PIXELS - 1) + b"\n", np.uint8)).all(1)
    if not right.all():
        raise UserError(f"{path}, line {int(right.argmin()) + 1:,}: it must hold {PIXELS} zeros and ones")
    return values.reshape(rows, SIDE, SIDE, 1)


def read_silhouettes(path: Path, parts: dict[str, int]) -> list[UInt8[np.ndarray, "_ 28 28 1"]]:
    """The images in the arrays of a Matlab file that `parts` names with their numbers of rows, stored by columns.

    Raises:
        UserError: it is no such file, or not whole.
    """
    from scipy.io import loadmat

    try:
        arrays = loadmat(path, variable_names=list(parts))
    except Exception as error:
        raise UserError(f"{path} is not a whole Matlab file: {str(error)[:80]!r}") from error
    for name, rows in parts.items():
        array = arrays.get(name)
        if array is None or array.dtype != np.uint8 or array.shape != (rows, PIXELS) or array.max() > 1:
            raise UserError(f"{path}: its {name!r} must hold {rows:,} rows of {PIXELS} zeros and ones")
    return [np.ascontiguousarray(arrays[name].reshape(-1, SIDE, SIDE, 1).swapaxes(1, 2)) for name in parts]


BINARY_IMAGES: dict[str, Callable[[Split], Dataset]] = {
    "binarized-mnist": binarized_mnist,
    "silhouettes": silhouettes,
}
