"""The Frey faces, and pickles that try to be more than an array."""

import os
import pickle

import numpy as np
import pytest

from pushforward.data import load
from pushforward.data.base import Split
from pushforward.data.faces import read_pickle
from pushforward.errors import UserError
from tests.data.test_images import real

FACES = np.random.default_rng(0).integers(256, size=(1965, 560), dtype=np.uint8)


def python_2(array=FACES, count=1):
    """What Python 2 and NumPy of its time pickle for a list of equal arrays of bytes."""
    kind, sizes, content = array.dtype.str[1:], array.shape, array.tobytes()
    shape = b"".join(b"I%d\n" % size for size in sizes)
    state = b"(I1\n(" + shape + b"tcnumpy\ndtype\n(S'" + kind.encode() + b"'\nI0\nI1\ntR(I3\nS'|'\nNNNI-1\nI-1\nI0\ntb"
    one = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR" + state
    return b"(l" + count * (one + b"I00\nT" + len(content).to_bytes(4, "little") + content + b"tba") + b"."


def written(path, content):
    path.write_bytes(content)
    return path


def test_pickle(tmp_path):
    images = read_pickle(written(tmp_path / "f.pkl", python_2()))
    np.testing.assert_array_equal(images, FACES.reshape(1965, 28, 20, 1))
    assert images.dtype == np.uint8


@pytest.mark.parametrize(
    "attack",
    [
        b"cos\nsystem\n(S'touch {}'\ntR.",
        b"(lcos\nsystem\n(S'touch {}'\ntRa.",
        b"cposix\nsystem\n(S'touch {}'\ntR.",
        b'c__builtin__\neval\n(S\'__import__("os").mkdir("{}")\'\ntR.',
        b"(S'touch {}'\nios\nsystem\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93(S'touch {}'\ntR.",
    ],
)
def test_a_pickle_that_runs_code_is_refused_and_does_not_run(tmp_path, attack):
    target = tmp_path / "run"
    attack = attack.replace(b"{}", os.fsencode(target))
    with pytest.raises(UserError, match=r"f.pkl is not .* asks for (os|posix|__builtin__)\.(system|eval)'") as error:
        read_pickle(written(tmp_path / "f.pkl", attack))
    assert str(error.value).isprintable()
    assert not target.exists()
    pickle.loads(attack)
    assert target.exists()


def test_other_parts_of_numpy_are_refused(tmp_path):
    for name in (b"numpy\nload", b"numpy\nfromfile", b"numpy.core.multiarray\nscalar", b"numpy.core\nmultiarray"):
        with pytest.raises(UserError, match="asks for numpy"):
            read_pickle(written(tmp_path / "f.pkl", b"c" + name + b"\n."))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is not a whole pickle"),
        (b"garbage", "is not a whole pickle"),
        (python_2()[:-1], "is not a whole pickle"),
        (python_2()[:1000], "is not a whole pickle"),
        (python_2()[:-4] + b".", "is not a whole pickle"),
        (python_2(count=0), "is not a whole pickle"),
        (python_2(count=2), "is not a whole pickle"),
        (python_2(FACES[1:]), "does not hold 1,965 faces of 28 x 20 bytes"),
        (python_2(FACES.reshape(560, 1965)), "does not hold 1,965 faces"),
        (python_2(FACES.view(np.int8)), "does not hold 1,965 faces"),
        (pickle.dumps(["faces"]), "does not hold 1,965 faces"),
    ],
)
def test_unusable_pickles_are_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=f"f.pkl {message}") as error:
        read_pickle(written(tmp_path / "f.pkl", content))
    assert str(error.value).isprintable()


@real
def test_frey_faces():
    dataset = load("frey-faces", seed=3, test=0.2)
    assert (dataset.name, dataset.shape, dataset.levels, dataset.columns) == ("frey-faces", (28, 20, 1), 256, ())
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [1376, 196, 393]
    assert dataset.train.dtype == np.uint8
    video = np.empty((1965, 28, 20, 1), np.uint8)
    for rows, part in zip(Split(3, test=0.2).rows(1965), (dataset.train, dataset.validation, dataset.test)):
        video[rows] = part
    assert contrast(video, 0) < 0.5 * contrast(dataset.train, 0)
    assert contrast(video, 1) < 0.5 * contrast(video.reshape(-1, 20, 28, 1), 1)
    (warning,) = dataset.warnings
    assert "frames of one video" in warning


def contrast(images, axis):
    return np.abs(np.diff(images.astype(float), axis=axis)).mean()
