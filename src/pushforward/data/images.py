"""Sets of images with an official test set."""

import gzip
import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pushforward.data.base import Dataset, Split
from pushforward.data.downloads import Source, fetch
from pushforward.errors import UserError

TRAIN, TEST = "train-images-idx3-ubyte.gz", "t10k-images-idx3-ubyte.gz"
UNSIGNED_BYTES = b"\x00\x00\x08"

MNIST = Source(
    "mnist",
    ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    {
        TRAIN: "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        TEST: "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
    },
)
FASHION_MNIST = Source(
    "fashion-mnist",
    ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    {
        TRAIN: "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        TEST: "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    },
)


def mnist(split: Split) -> Dataset:
    """70,000 handwritten digits of 28 x 28 pixels (LeCun et al., 1998); the official test set."""
    return _grey_images(MNIST, split)


def fashion_mnist(split: Split) -> Dataset:
    """70,000 pictures of clothes of 28 x 28 pixels (Xiao et al., 2017); the official test set."""
    return _grey_images(FASHION_MNIST, split)


def _grey_images(source: Source, split: Split) -> Dataset:
    official, test = (read_idx(fetch(source, file))[..., None] for file in (TRAIN, TEST))
    train, validation = split.training_rows(len(official))
    return Dataset(source.folder, official[train], official[validation], test, levels=256)


def read_idx(path: Path) -> UInt8[np.ndarray, "..."]:
    """The array of unsigned bytes in a gzipped idx file.

    Raises:
        UserError: it is no such file, or not whole.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{path} is not a whole gzip file: {str(error)[:80]}") from error
    start = 4 + 4 * raw[3] if len(raw) > 3 else 4
    if not raw.startswith(UNSIGNED_BYTES) or len(raw) < start:
        raise UserError(f"{path} is not an idx file of unsigned bytes")
    sizes = [int(size) for size in np.frombuffer(raw, ">u4", raw[3], offset=4)]
    if len(raw) - start != math.prod(sizes):
        raise UserError(f"{path} holds {len(raw) - start:,} values; its sizes {sizes} say {math.prod(sizes):,}")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(sizes)


IMAGES: dict[str, Callable[[Split], Dataset]] = {"mnist": mnist, "fashion-mnist": fashion_mnist}


def is_image_file(path: Path) -> bool:
    """Whether a file is an `.npy` of images: an array of three or more axes."""
    if path.suffix.lower() != ".npy" or not path.is_file():
        return False
    try:
        return np.lib.format.open_memmap(path, mode="r").ndim > 2
    except (OSError, ValueError, EOFError):
        return False


def image_file(path: Path, split: Split) -> Dataset:
    """The images in an `.npy` file, unsigned bytes `(n, H, W)` or `(n, H, W, C)`; of 2 levels if all are 0 or 1.

    Raises:
        UserError: they are of another type or shape, there are too few, or all pixels are equal.
    """
    images = np.load(path, allow_pickle=False)
    if images.dtype != np.uint8 or images.ndim > 4 or not images.size:
        found = f"{images.dtype} of shape {images.shape}"
        raise UserError(f"{path.name}: images must be unsigned bytes (uint8), (n, H, W) or (n, H, W, C), got {found}")
    if images.min() == images.max():
        raise UserError(f"{path.name}: every pixel is {images.min()}")
    images = images.reshape(*images.shape[:3], -1)
    try:
        train, validation, test = (images[rows] for rows in split.rows(len(images)))
    except UserError as error:
        raise UserError(f"{path.name} has {error}") from error
    return Dataset(path.name, train, validation, test, levels=2 if images.max() == 1 else 256)
