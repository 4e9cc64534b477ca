"""How well a score tells outliers from inliers: the ROC curve and the area under it."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import expit, logit

from pushforward.errors import UserError

LEVEL = 0.95


class ROC(NamedTuple):
    """The ROC curve, one point for each threshold, from (0, 0) to (1, 1).

    Attributes:
        false_positives: share of the inliers that score at least the threshold, ascending, shape `(k,)`.
        true_positives: share of the outliers that do, ascending, shape `(k,)`.
    """

    false_positives: Float[np.ndarray, " k"]
    true_positives: Float[np.ndarray, " k"]


@dataclass(frozen=True)
class AUROC:
    """The area under a ROC curve: the probability that an outlier scores higher than an inlier, ties at half.

    Attributes:
        value: 1/2 for a score that says nothing, below 1/2 for one that mistakes outliers for inliers.
        low: lower end of the interval.
        high: upper end.
    """

    value: float
    low: float
    high: float


def roc_curve(inliers: ArrayLike, outliers: ArrayLike) -> ROC:
    """The ROC curve of a score that is high for outliers; tied scores make a slanted line, whose area counts them half.

    Args:
        inliers: scores, of shape `(m,)`; infinite ones are the highest or the lowest.
        outliers: scores, of shape `(n,)`.

    Raises:
        UserError: there is no inlier or no outlier, or a score is NaN.
    """
    negative, positive = _sorted(inliers, "inlier"), _sorted(outliers, "outlier")
    thresholds = np.unique(np.concatenate([negative, positive]))[::-1]
    shares = [1 - np.searchsorted(scores, thresholds) / len(scores) for scores in (negative, positive)]
    return ROC(*(np.concatenate([[0.0], share]) for share in shares))


def auroc(inliers: ArrayLike, outliers: ArrayLike, level: float = LEVEL) -> AUROC:
    """The area under the ROC curve of a score that is high for outliers, with an interval for it.

    The variance is that of DeLong, DeLong & Clarke-Pearson, 1988, "Comparing the areas under two or more correlated
    receiver operating characteristic curves"; the interval is Normal on the scale of the logit, so that it stays
    between 0 and 1. Where all pairs are ordered alike the variance is 0 and says nothing: then the interval is that of
    Clopper & Pearson for as many disjoint pairs as there are, which is wider than it need be. Where all scores are
    equal it is a point.

    Args:
        inliers: scores, of shape `(m,)`; infinite ones are the highest or the lowest.
        outliers: scores, of shape `(n,)`.
        level: of the interval.

    Raises:
        UserError: there are fewer than two inliers or outliers, a score is NaN, or the level is not between 0 and 1.
    """
    if not 0 < level < 1:
        raise UserError(f"the level of an interval lies between 0 and 1, got {level}")
    negative, positive = _sorted(inliers, "inlier"), _sorted(outliers, "outlier")
    if min(len(negative), len(positive)) < 2:
        raise UserError(f"2 inliers and 2 outliers are needed, got {len(negative)} and {len(positive)}")
    above, below = _share_below(negative, positive), 1 - _share_below(positive, negative)
    value = float(above.mean())
    if value in (0.0, 1.0):
        reach = ((1 - level) / 2) ** (1 / min(len(negative), len(positive)))
        return AUROC(value, reach, 1.0) if value else AUROC(value, 0.0, 1 - reach)
    std_error = np.sqrt(above.var(ddof=1) / len(above) + below.var(ddof=1) / len(below))
    half_width = scipy.stats.norm.isf((1 - level) / 2) * std_error / (value * (1 - value))
    low, high = expit(logit(value) + np.array([-1, 1]) * half_width)
    return AUROC(value, float(low), float(high))


def _share_below(scores: Float[np.ndarray, " m"], of: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """For each score in `of` the share of the ascending `scores` that are below it, ties at half."""
    lower, upper = (np.searchsorted(scores, of, side) for side in ("left", "right"))
    return np.asarray((lower + upper) / (2 * len(scores)))


def _sorted(scores: ArrayLike, name: str) -> Float[np.ndarray, " n"]:
    values: Float[np.ndarray, " n"] = np.sort(np.asarray(scores, np.float64), axis=None)
    if not len(values):
        raise UserError(f"there are no {name}s")
    if np.isnan(values[-1]):
        raise UserError(f"{np.isnan(values).sum()} of {len(values)} scores of {name}s are NaN")
    return values
