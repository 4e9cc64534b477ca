"""Rows of a table less their linear regression on contexts: what is left for a conditional flow to learn."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64

from pushforward.contexts import Encoder
from pushforward.data import Dataset
from pushforward.data.base import Given


@dataclass(frozen=True, eq=False)
class Regression:
    """Least squares of the training rows of a table, as a flow learns them, on their contexts.

    Attributes:
        encoder: of the contexts.
        slope: `(D, size)`.
    """

    encoder: Encoder
    slope: Float64[np.ndarray, "D size"]

    @staticmethod
    def of(data: Dataset, given: Given) -> "Regression":
        """The regression of a table with contexts."""
        encoder = Encoder.of(given.columns, given.categories, given.train)
        features = encoder.all(given.train)
        centred = features - features.mean(axis=0)
        rows = data.learned(data.train)
        slope, *_ = np.linalg.lstsq(centred, rows - rows.mean(axis=0))
        return Regression(encoder, slope.T)

    def left(
        self, rows: Float64[np.ndarray, "n D"], contexts: Float32[np.ndarray, "n columns"]
    ) -> Float32[np.ndarray, "n D"]:
        """Rows, as a flow learns them, less what their contexts say."""
        return (rows - self.encoder.all(contexts) @ self.slope.T).astype(np.float32)


def residuals(data: Dataset) -> Dataset:
    """A table with contexts as one without: its rows are residuals, and logarithms where these are learned."""
    given = data.given
    if given is None:
        return data
    regression = Regression.of(data, given)
    train, validation, test = (
        regression.left(data.learned(rows), contexts)
        for rows, contexts in (
            (data.train, given.train),
            (data.validation, given.validation),
            (data.test, given.test),
        )
    )
    return replace(data, train=train, validation=validation, test=test, logged=(), given=None)
