"""Posterior predictive checks: whether data like those observed come out of a posterior."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

LEVEL, LEAST_DRAWS = 0.01, 50


@dataclass(frozen=True)
class Predictive:
    """Observed numbers among those that draws from a posterior predict.

    Attributes:
        names: of the numbers.
        observed: each of them.
        low: 5% quantile of the predictions.
        median: of the predictions.
        high: 95% quantile.
        p_values: twice the share of the predictions beyond each observed number, on its side; ties count by half.
        draws: how many predictions there are.
    """

    names: tuple[str, ...]
    observed: Float[np.ndarray, " numbers"]
    low: Float[np.ndarray, " numbers"]
    median: Float[np.ndarray, " numbers"]
    high: Float[np.ndarray, " numbers"]
    p_values: Float[np.ndarray, " numbers"]
    draws: int

    @property
    def contradicts(self) -> bool:
        """Whether some number is not predicted: its p-value, times how many there are, is below 1%."""
        return float(self.p_values.min()) * len(self.names) < LEVEL

    @property
    def verdict(self) -> str:
        """What it says, in words."""
        inside = int(np.sum((self.low <= self.observed) & (self.observed <= self.high)))
        held = f"{inside} of {len(self.names)} observed numbers lie in their 90% predictive intervals"
        if not self.contradicts:
            return f"data like those observed are predicted: {held}"
        worst = int(np.argmin(self.p_values))
        value = f"{self.names[worst]} = {self.observed[worst]:g}, predicted {self.median[worst]:g}"
        interval = f"({self.low[worst]:g} to {self.high[worst]:g})"
        return f"data like those observed are not predicted: {value} {interval}; {held}"


def predictive(
    simulated: Float[np.ndarray, "n numbers"], observed: Float[np.ndarray, " numbers"], names: Sequence[str]
) -> Predictive:
    """Observed numbers among simulated ones.

    Args:
        simulated: data of draws from a posterior.
        observed: those that it was given.
        names: of the numbers.

    Raises:
        ValueError: there are fewer than 50 simulations.
    """
    n = len(simulated)
    if n < LEAST_DRAWS:
        raise ValueError(f"a predictive check takes {LEAST_DRAWS} simulations or more, got {n}")
    below, equal = (simulated < observed).sum(axis=0), (simulated == observed).sum(axis=0)
    left = (below + 0.5 * equal + 0.5) / (n + 1)
    low, median, high = np.quantile(simulated, [0.05, 0.5, 0.95], axis=0)
    p_values = np.minimum(1.0, 2 * np.minimum(left, 1 - left))
    return Predictive(tuple(names), np.asarray(observed), low, median, high, p_values, n)
