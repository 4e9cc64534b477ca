"""Rows of a table less their linear regression on contexts: what is left for a conditional flow to learn."""

from dataclasses import replace

import numpy as np

from pushforward.contexts import Encoder, Regression
from pushforward.data import Dataset
from pushforward.data.base import Given


def regression(data: Dataset, given: Given) -> Regression:
    """Least squares of the training rows of a table, as a flow learns them, on their contexts."""
    encoder = Encoder.of(given.columns, given.categories, given.train)
    return Regression.of(encoder, given.train, data.learned(data.train))


def residuals(data: Dataset) -> Dataset:
    """A table with contexts as one without: its rows are residuals, and of logarithms where these are learned."""
    given = data.given
    if given is None:
        return data
    found = regression(data, given)
    train, validation, test = (
        found.left(contexts, data.learned(rows)).astype(np.float32)
        for contexts, rows in (
            (given.train, data.train),
            (given.validation, data.validation),
            (given.test, data.test),
        )
    )
    return replace(data, train=train, validation=validation, test=test, logged=(), given=None)
