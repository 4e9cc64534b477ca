"""Images of zeros and ones: their files, and the official sets where they are at hand."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.io import loadmat, savemat

from pushforward.data import load
from pushforward.data.binary_images import SILHOUETTES, read_amat, read_silhouettes
from pushforward.errors import UserError
from tests.data.test_images import real

IMAGES = np.random.default_rng(0).integers(2, size=(5, 28, 28, 1), dtype=np.uint8)
TEXT = b"".join(b" ".join(b"%d" % pixel for pixel in image.ravel()) + b"\n" for image in IMAGES)
ROW = 2 * 784


def written(path, content):
    path.write_bytes(content)
    return path


def test_amat(tmp_path):
    images = read_amat(written(tmp_path / "i.amat", TEXT), 5)
    np.testing.assert_array_equal(images, IMAGES)
    assert images.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds 0 bytes; 5 lines of 784 digits are 7,840"),
        (TEXT[:-1], "holds 7,839 bytes"),
        (TEXT[ROW:], "holds 6,272 bytes"),
        (TEXT + TEXT[:ROW], "holds 9,408 bytes"),
        (b"2" + TEXT[1:], "line 1: it must hold 784 zeros and ones"),
        (b" " + TEXT[1:], "line 1: "),
        (TEXT[: 2 * ROW - 2] + b"/\n" + TEXT[2 * ROW :], "line 2: "),
        (TEXT[: 2 * ROW - 1] + b" " + TEXT[2 * ROW :], "line 2: "),
        (TEXT[: 2 * ROW + 1] + b"\n" + TEXT[2 * ROW + 2 :], "line 3: "),
        (TEXT.replace(b" ", b","), "line 1: "),
        (TEXT[:-2] + b"\xff\n", "line 5: "),
    ],
)
def test_unusable_amat_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=f"i.amat.*{message}") as error:
        read_amat(written(tmp_path / "i.amat", content), 5)
    assert str(error.value).isprintable()


PARTS = {"train_data": 3, "test_data": 2}


def matlab(path, **arrays):
    """A file as Matlab writes it: a row for an image, its columns one after another."""
    savemat(path, {name: images.swapaxes(1, 2).reshape(len(images), -1) for name, images in arrays.items()})
    return path


def test_silhouettes_stand_upright(tmp_path):
    path = matlab(tmp_path / "s.mat", train_data=IMAGES[:3], test_data=IMAGES[3:], train_labels=IMAGES)
    train, test = read_silhouettes(path, PARTS)
    np.testing.assert_array_equal(np.concatenate([train, test]), IMAGES)
    assert train.dtype == test.dtype == np.uint8


@pytest.mark.parametrize(
    ("train", "message"),
    [
        (IMAGES[:2], "its 'train_data' must hold 3 rows of 784 zeros and ones"),
        (IMAGES[:4], "its 'train_data' must hold 3 rows"),
        (IMAGES[:3, :27], "its 'train_data' must hold 3 rows"),
        (2 * IMAGES[:3], "its 'train_data' must hold 3 rows"),
        (IMAGES[:3].astype(float), "its 'train_data' must hold 3 rows"),
    ],
)
def test_unusable_silhouettes_are_refused(tmp_path, train, message):
    with pytest.raises(UserError, match=f"s.mat: {message}"):
        read_silhouettes(matlab(tmp_path / "s.mat", train_data=train, test_data=IMAGES[3:]), PARTS)


def test_an_array_that_is_missing_is_refused(tmp_path):
    with pytest.raises(UserError, match="its 'test_data' must hold 2 rows"):
        read_silhouettes(matlab(tmp_path / "s.mat", train_data=IMAGES[:3]), PARTS)


@pytest.mark.parametrize("length", [0, 3, 127, 128, 200, -1])
def test_a_truncated_matlab_file_is_refused(tmp_path, length):
    whole = matlab(tmp_path / "s.mat", train_data=IMAGES[:3], test_data=IMAGES[3:]).read_bytes()
    with pytest.raises(UserError, match=r"s\.mat") as error:
        read_silhouettes(written(tmp_path / "s.mat", whole[:length]), PARTS)
    assert str(error.value).isprintable()


def test_what_is_no_matlab_file_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"s\.mat is not a whole Matlab file"):
        read_silhouettes(written(tmp_path / "s.mat", np.random.default_rng(0).bytes(5000)), PARTS)


def assert_official(name, lengths):
    """The parts have these lengths, zeros and ones alone, and do not depend on the split but for their order."""
    dataset, again = load(name), load(name, seed=1, validation=0.3, test=0.3)
    assert (dataset.name, dataset.shape, dataset.levels, dataset.columns) == (name, (28, 28, 1), 2, ())
    for part, length in zip(("train", "validation", "test"), lengths):
        images = getattr(dataset, part)
        assert (len(images), images.dtype) == (length, np.uint8)
        np.testing.assert_array_equal(np.unique(images), [0, 1])
        np.testing.assert_array_equal(in_order(images), in_order(getattr(again, part)))
    return dataset


def in_order(images):
    return np.sort(np.packbits(images.reshape(len(images), -1), axis=1).view("V98"), axis=0)


@real
def test_binarized_mnist():
    dataset = assert_official("binarized-mnist", (50_000, 10_000, 10_000))
    grey = load("mnist")
    for images, same in ((dataset.train, grey.train), (dataset.validation, grey.train), (dataset.test, grey.test)):
        np.testing.assert_allclose(images.mean(axis=0), same.mean(axis=0) / 255, atol=2.5 / np.sqrt(len(images)))
    np.testing.assert_allclose(dataset.test[:1000].mean(axis=0), dataset.test.mean(axis=0), atol=0.08)


@real
def test_silhouettes():
    dataset = assert_official("silhouettes", (4_100, 2_264, 2_307))
    inside = 1 - dataset.train[..., 0].mean(axis=0)
    assert inside[0, 0] < 0.1 < 0.9 < inside[14, 14]


@real
def test_airplanes_lie_on_their_bellies():
    path = Path(os.environ["PUSHFORWARD_DATA"]) / "caltech101-silhouettes" / SILHOUETTES
    labels, classes = loadmat(path)["train_labels"][:, 0], loadmat(path)["classnames"][0]
    assert classes[0].item().startswith("Airplanes")
    airplanes = 1 - load("silhouettes").train[labels == 1, ..., 0].mean(axis=0)
    assert airplanes[14:].mean() > 2 * airplanes[:14].mean()
    np.testing.assert_allclose(airplanes[:, 14:].mean(), airplanes[:, :14].mean(), rtol=0.1)
