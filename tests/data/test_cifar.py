"""Patches of CIFAR-10, of made-up photographs and of the real ones."""

import os
from pathlib import Path

import numpy as np
import pytest

from pushforward.data import cifar, load
from pushforward.data.base import Split
from pushforward.data.cifar import CIFAR_10, cifar10_patches, patches, read_batch
from pushforward.errors import UserError
from tests.data.test_images import real

A_BATCH = 20
PLACES = np.arange(1024).reshape(32, 32)


def photograph(number):
    """Its planes hold the number of the photograph, and at every pixel the row and the column."""
    return np.stack([np.full((32, 32), number), PLACES // 32, PLACES % 32]).astype(np.uint8)


def written(path, planes, label=9):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(bytes([label]) + plane.tobytes() for plane in planes))
    return path


@pytest.fixture
def made_up(tmp_path, monkeypatch):
    """A folder in place of CIFAR-10, with 120 photographs of which the last 20 are the test set."""
    for batch, file in enumerate(CIFAR_10.sha256):
        written(tmp_path / file, [photograph(A_BATCH * batch + place) for place in range(A_BATCH)])
    monkeypatch.setattr(cifar, "fetch", lambda source, file: tmp_path / file)
    for name, count in (("TRAIN", 3000), ("VALIDATION", 500), ("TEST", 400)):
        monkeypatch.setattr(cifar, f"{name}_PATCHES", count)


def test_a_batch(tmp_path):
    images = read_batch(written(tmp_path / "b.bin", [photograph(3), photograph(4)]))
    assert (images.shape, images.dtype) == ((2, 32, 32, 3), np.uint8)
    assert images[1, 10, 20].tolist() == [4, 10, 20]


@pytest.mark.parametrize(
    "change", [lambda raw: b"", lambda raw: raw[:-1], lambda raw: raw + b"!", lambda raw: raw[:99]]
)
def test_a_batch_of_another_size_is_refused(tmp_path, change):
    path = written(tmp_path / "b.bin", [photograph(3)])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match=r"b.bin holds .* bytes, not rows of 3,073"):
        read_batch(path)


def test_an_impossible_label_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"b.bin holds labels up to 10; CIFAR-10 has 10 classes"):
        read_batch(written(tmp_path / "b.bin", [photograph(3)], label=10))


def test_patches_are_of_neighbouring_pixels_anywhere():
    images = np.stack([photograph(number).transpose(1, 2, 0) for number in range(5)])
    drawn = patches(images, np.array([1, 4]), 5000, np.random.default_rng(0)).astype(int)
    number, top, left = drawn[:, 0, 0].T
    assert set(number) == {1, 4}
    assert set(top) == set(left) == set(range(25))
    steps = np.arange(8)
    np.testing.assert_array_equal(drawn[..., 0], np.broadcast_to(number[:, None, None], (5000, 8, 8)))
    np.testing.assert_array_equal(drawn[..., 1], top[:, None, None] + np.tile(steps[:, None], (1, 8)))
    np.testing.assert_array_equal(drawn[..., 2], left[:, None, None] + np.tile(steps, (8, 1)))


def test_no_photograph_is_in_two_parts(made_up):
    dataset = cifar10_patches(Split(seed=1, validation=0.2))
    numbers = [set(part[:, 0, 0, 0]) for part in (dataset.train, dataset.validation, dataset.test)]
    assert [len(part) for part in numbers] == [80, 20, 20]
    assert numbers[2] == set(range(100, 120))
    assert numbers[0] | numbers[1] == set(range(100))


def test_the_seed_decides(made_up):
    first, again, other = (cifar10_patches(Split(seed)) for seed in (1, 1, 2))
    for part, length in (("train", 3000), ("validation", 500), ("test", 400)):
        assert getattr(first, part).shape == (length, 8, 8, 3)
        np.testing.assert_array_equal(getattr(first, part), getattr(again, part))
        assert np.any(getattr(first, part) != getattr(other, part))


@real
def test_cifar10_patches():
    dataset = load("cifar10-patches", test=0.3)
    assert (dataset.name, dataset.shape, dataset.levels, dataset.columns) == ("cifar10-patches", (8, 8, 3), 256, ())
    parts = dataset.train, dataset.validation, dataset.test
    assert [len(part) for part in parts] == [500_000, 10_000, 10_000]
    for part in parts:
        assert (part.dtype, part.flags.c_contiguous) == (np.uint8, True)
        assert np.abs(np.diff(part[:10_000].astype(float), axis=1)).mean() < 20
        assert np.abs(np.diff(part[:10_000].astype(float), axis=2)).mean() < 20


@real
def test_means_of_cifar10():
    """The means that everyone normalises CIFAR-10 by."""
    folder = Path(os.environ["PUSHFORWARD_DATA"]) / "cifar10"
    means = np.mean([read_batch(folder / file).mean(axis=(0, 1, 2)) for file in list(CIFAR_10.sha256)[:5]], axis=0)
    np.testing.assert_allclose(means / 255, [0.4914, 0.4822, 0.4465], atol=5e-5)
