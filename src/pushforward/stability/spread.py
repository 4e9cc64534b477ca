"""How much the outcome of training depends on the seed."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class SeedSpread:
    """Quartiles over the members of an ensemble that did not diverge.

    Attributes:
        lower: first quartile, in nats; NaN, as the others, if all diverged.
        median: in nats.
        upper: third quartile, in nats.
        diverged: fraction of all members.
    """

    lower: float
    median: float
    upper: float
    diverged: float

    @property
    def interquartile_range(self) -> float:
        """In nats."""
        return self.upper - self.lower


def seed_spread(losses: Float[np.ndarray, " members"]) -> SeedSpread:
    """The spread of one loss a member, such as the last record of a `Fit`; one that is not finite has diverged."""
    finite = losses[np.isfinite(losses)]
    lower, median, upper = np.quantile(finite, [0.25, 0.5, 0.75]) if finite.size else [np.nan] * 3
    return SeedSpread(float(lower), float(median), float(upper), 1 - finite.size / losses.size)
