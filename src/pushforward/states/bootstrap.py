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

    Basic bootstrap: with t the statistic of the samples and t* that of samples drawn from them, t* - t is taken for the
    error of t, so that its bias is undone to first order (Davison & Hinkley, 1997, "Bootstrap methods and their
    application", equation 5.6). The interval is widened to t where it lies below, as that of a distance made of noise.

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
    return [_basic_interval(float(value), each, level) for value, each in zip(values, drawn.T)]


def _basic_interval(value: float, drawn: Float[np.ndarray, " replicates"], level: float) -> Estimate:
    if not np.isfinite(value) or not np.isfinite(drawn).all():
        return Estimate(value, -np.inf, np.inf)
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Estimate(value, min(value, float(2 * value - high)), max(value, float(2 * value - low)))
