"""Images: the idx files, and the official sets where they are at hand."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from pushforward.data import load
from pushforward.data.images import TEST, TRAIN, read_idx
from pushforward.errors import UserError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
HEADER = bytes([0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4])
real = pytest.mark.skipif(
    "PUSHFORWARD_DATA" not in os.environ, reason="PUSHFORWARD_DATA names no folder that shared/bin/prepare-data filled"
)


def written(path, content):
    path.write_bytes(gzip.compress(content))
    return path


def test_idx(tmp_path):
    np.testing.assert_array_equal(read_idx(written(tmp_path / "i.gz", HEADER + IMAGES.tobytes())), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an idx file"),
        (b"\x00\x00\x08", "not an idx file"),
        (HEADER[:12], "not an idx file"),
        (b"\x00\x00\x0d" + HEADER[3:] + IMAGES.tobytes(), "not an idx file of unsigned bytes"),
        (HEADER + IMAGES.tobytes()[:-1], r"holds 23 values; its sizes \[2, 3, 4\] say 24"),
        (HEADER + IMAGES.tobytes() + b"!", "holds 25 values"),
        (HEADER[:4] + b"\xff" * 12 + IMAGES.tobytes(), "holds 24 values; its sizes"),
    ],
)
def test_unusable_idx_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        read_idx(written(tmp_path / "i.gz", content))


def test_unusable_gzip_is_refused(tmp_path):
    path = written(tmp_path / "i.gz", HEADER + IMAGES.tobytes())
    whole = path.read_bytes()
    for content in (whole[:-1], whole[:-12], whole[:15] + b"!!!!" + whole[19:], HEADER, b""):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"i\.gz is not a"):
            read_idx(path)


@pytest.mark.slow
@real
@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_official_sets(name):
    dataset = load(name, seed=2, validation=1 / 6, test=0.3)
    assert (dataset.name, dataset.shape, dataset.levels, dataset.columns) == (name, (28, 28, 1), 256, ())
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [50_000, 10_000, 10_000]
    assert dataset.train.dtype == dataset.validation.dtype == dataset.test.dtype == np.uint8
    official = read_idx(Path(os.environ["PUSHFORWARD_DATA"]) / name / TEST)
    np.testing.assert_array_equal(dataset.test[..., 0], official)
    train = read_idx(Path(os.environ["PUSHFORWARD_DATA"]) / name / TRAIN)
    total = np.concatenate([dataset.train, dataset.validation])[..., 0].sum(axis=0, dtype=np.int64)
    np.testing.assert_array_equal(total, train.sum(axis=0, dtype=np.int64))
    np.testing.assert_array_equal(load(name, seed=2, validation=1 / 6).train, dataset.train)
    assert np.any(load(name, seed=3).train[:100] != dataset.train[:100])


@real
def test_means_of_mnist():
    """The mean and standard deviation that everyone normalises MNIST by."""
    dataset = load("mnist")
    pixels = np.concatenate([dataset.train, dataset.validation]) / np.float32(255)
    np.testing.assert_allclose([pixels.mean(dtype=float), pixels.std(dtype=float)], [0.1307, 0.3081], atol=5e-5)
