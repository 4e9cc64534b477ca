"""The Frey faces, from a pickle that can run no code."""

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pushforward.data.base import Dataset, Split
from pushforward.data.downloads import Source, fetch
from pushforward.data.pickles import ArrayUnpickler
from pushforward.data.text import brief
from pushforward.errors import UserError

FILE = "freyfaces.pkl"
FACES, HEIGHT, WIDTH = 1_965, 28, 20
LEAK = "the faces are frames of one video: a test face nearly equals a face to train on, so its density is too high"

FREY_FACES = Source(
    "frey-faces",
    ("https://github.com/y0ast/Variational-Autoencoder/raw/master/",),
    {FILE: "3b69410c6a5fd6e03f09012905168be3712373a094a776f7e58fcd0670d2138a"},
)


def frey_faces(split: Split) -> Dataset:
    """1,965 frames of 28 x 20 pixels from a video of one face (Roweis & Saul, 2000); no official test set."""
    images = read_pickle(fetch(FREY_FACES, FILE))
    train, validation, test = (images[rows] for rows in split.rows(len(images)))
    return Dataset("frey-faces", train, validation, test, levels=256, warnings=(LEAK,))


def read_pickle(path: Path) -> UInt8[np.ndarray, "1965 28 20 1"]:
    """The only array of a list that Python 2 pickled.

    Raises:
        UserError: it is no such file, not whole, or asks for more than an array.
    """
    try:
        with path.open("rb") as file:
            (images,) = ArrayUnpickler(file, encoding="latin1").load()
    except Exception as error:
        raise UserError(f"{path} is not a whole pickle of one array: {brief(str(error), 80)}") from error
    shape = (FACES, HEIGHT * WIDTH)
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != shape:
        raise UserError(f"{path} does not hold {FACES:,} faces of {HEIGHT} x {WIDTH} bytes")
    return images.reshape(FACES, HEIGHT, WIDTH, 1)
