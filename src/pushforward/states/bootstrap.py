"""Intervals by resampling the samples behind a density of states."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pushforward.errors import UserError
from pushforward.states.density import DensityOfStates

REPLICATES = 200
LEVEL = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its interval.

    Attributes:
        value: of the samples themselves.
        low: lower end of the interval; equal to `value` where nothing was estimated.
        high: upper end.
    """

    value: float
    low: float
    high: float


def bootstrap(
    statistic: Callable[..., Float[np.ndarray, " k"]],
    *states: DensityOfStates,
    replicates: int = REPLICATES,
    level: float = LEVEL,
    seed: int = 0,
) -> list[Estimate]:
    """Intervals for `statistic(*states)`, an array of k numbers, when those states that are samples are drawn anew.

    With t the statistic of the samples and t* that of samples drawn from them, t* - t is taken for the error of t, so
    that its bias is undone to first order. Where t* is skewed, as by heavy tails, it cannot be told to which side t
    errs: the interval holds the basic one and the quantiles of t* less twice the bias, which agree without skewness
    (Davison & Hinkley, 1997, "Bootstrap methods and their application", equation 5.6 and section 5.3). It is widened to
    t where it lies below, as that of a distance made of noise.

    Args:
        statistic: of as many densities of states as are given.
        states: exact ones are held fixed.
        replicates: how often the samples are drawn anew.
        level: of the interval.
        seed: of the draws.

    Raises:
        UserError: there is no replicate, or the level is not between 0 and 1.
    """
    if replicates < 1 or not 0 < level < 1:
        raise UserError(f"an interval needs replicates and a level between 0 and 1, got {replicates} and {level}")
    values = np.asarray(statistic(*states), np.float64)
    if all(each.sample_size is None for each in states):
        return [Estimate(float(value), float(value), float(value)) for value in values]
    rng = np.random.default_rng(seed)
    drawn = np.stack([statistic(*(each.resample(rng) for each in states)) for _ in range(replicates)])
    return [_interval(float(value), each, level) for value, each in zip(values, drawn.T)]


def _interval(value: float, drawn: Float[np.ndarray, " replicates"], level: float) -> Estimate:
    if not np.isfinite(value) or not np.isfinite(drawn).all():
        return Estimate(value, -np.inf, np.inf)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    twice_bias = 2 * (drawn.mean() - value)
    lower = min(value, 2 * value - high, low - twice_bias)
    upper = max(value, 2 * value - low, high - twice_bias)
    return Estimate(value, float(lower), float(upper))
