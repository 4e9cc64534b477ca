"""Means with their standard errors and intervals; None where a number is not finite, as JSON has it."""

import math
from typing import Any

import numpy as np
import scipy
from jaxtyping import Float
from numpy.typing import ArrayLike

LEVEL = 0.95


def finite_or_none(value: float) -> float | None:
    """A number that JSON can hold."""
    return float(value) if np.isfinite(value) else None


def numbers(values: ArrayLike) -> list[Any]:
    """An array as nested lists that JSON can hold: None where a number is not finite."""
    array = np.asarray(values)
    listed = array.astype(object)
    listed[~np.isfinite(array)] = None
    return listed.tolist()


def mean_and_std_error(values: Float[np.ndarray, " n"]) -> tuple[float | None, float | None]:
    """The mean and its standard error; None where they are not finite."""
    if not np.all(np.isfinite(values)):
        return None, None
    return float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None


def mean_interval(gaps: Float[np.ndarray, "seeds rows"]) -> tuple[float, float] | None:
    """95% interval of the mean of `gaps` over seeds and rows, both of which are samples; seeds that diverged left out.

    Its variance is that between the seeds plus that between the rows, which is a little too much (Owen, 2007, "The
    pigeonhole bootstrap", section 3); the quantile is that of Student's t for the seeds. Of one seed it is that of the
    rows alone.
    """
    gaps = gaps[np.isfinite(gaps).all(axis=1)]
    seeds, rows = gaps.shape
    if seeds == 0:
        return None
    of_rows = gaps.mean(axis=0).var(ddof=1) / rows
    of_seeds = gaps.mean(axis=1).var(ddof=1) / seeds if seeds > 1 else 0.0
    margin = scipy.stats.t(max(seeds - 1, rows * (seeds == 1))).ppf((1 + LEVEL) / 2) * math.sqrt(of_rows + of_seeds)
    return float(gaps.mean() - margin), float(gaps.mean() + margin)
