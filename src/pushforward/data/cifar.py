"""Patches of the photographs of CIFAR-10."""

from pathlib import Path

import numpy as np
from jaxtyping import Int, UInt8

from pushforward.data.base import Dataset, Split
from pushforward.data.downloads import Source, fetch
from pushforward.errors import UserError

CHANNELS, SIDE, CLASSES = 3, 32, 10
ROW = 1 + CHANNELS * SIDE**2
PATCH = 8
TRAIN_PATCHES, VALIDATION_PATCHES, TEST_PATCHES = 500_000, 10_000, 10_000

CIFAR_10 = Source(
    "cifar10",
    ("https://www.cs.toronto.edu/~kriz/",),
    {
        "cifar-10-batches-bin/data_batch_1.bin": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
        "cifar-10-batches-bin/data_batch_2.bin": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
        "cifar-10-batches-bin/data_batch_3.bin": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
        "cifar-10-batches-bin/data_batch_4.bin": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
        "cifar-10-batches-bin/data_batch_5.bin": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
        "cifar-10-batches-bin/test_batch.bin": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
    },
    ("cifar-10-binary.tar.gz", "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
)


def cifar10_patches(split: Split) -> Dataset:
    """520,000 colour patches of 8 x 8 pixels of CIFAR-10 (Krizhevsky, 2009); test patches of its test set.

    No photograph has patches in two parts: `split` divides the official training photographs, not the patches.
    """
    *batches, test = (read_batch(fetch(CIFAR_10, file)) for file in CIFAR_10.sha256)
    photographs = np.concatenate(batches)
    train, validation = split.training_rows(len(photographs))
    rng = np.random.default_rng([split.seed, PATCH])
    return Dataset(
        "cifar10-patches",
        patches(photographs, train, TRAIN_PATCHES, rng),
        patches(photographs, validation, VALIDATION_PATCHES, rng),
        patches(test, np.arange(len(test)), TEST_PATCHES, rng),
        levels=256,
    )


def patches(
    images: UInt8[np.ndarray, "n H W C"], rows: Int[np.ndarray, " m"], count: int, rng: np.random.Generator
) -> UInt8[np.ndarray, "count 8 8 C"]:
    """As many patches, each at a random place of a random one of the images that `rows` lists."""
    _, height, width, channels = images.shape
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH, channels), axis=(1, 2, 3))
    top, left = (rng.integers(side - PATCH + 1, size=count) for side in (height, width))
    return np.ascontiguousarray(windows[rng.choice(rows, count), top, left, 0])


def read_batch(path: Path) -> UInt8[np.ndarray, "n 32 32 3"]:
    """The images in a file of CIFAR-10's binary version: rows of a label and the planes of red, green and blue.

    Raises:
        UserError: it is no such file, or not whole.
    """
    raw = np.fromfile(path, np.uint8)
    if len(raw) == 0 or len(raw) % ROW:
        raise UserError(f"{path} holds {len(raw):,} bytes, not rows of {ROW:,}")
    rows = raw.reshape(-1, ROW)
    if rows[:, 0].max() >= CLASSES:
        raise UserError(f"{path} holds labels up to {rows[:, 0].max()}; CIFAR-10 has {CLASSES} classes")
    return rows[:, 1:].reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
