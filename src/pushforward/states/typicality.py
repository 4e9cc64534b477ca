"""The typical-set test: is a log-density what those of draws are, neither too low nor too high?

Nalisnick, Matsukawa, Teh & Lakshminarayanan, 2019, "Detecting out-of-distribution inputs to deep generative models
using typicality".
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from pushforward.errors import UserError
from pushforward.states.convolution import convolve
from pushforward.states.density import DensityOfStates


@dataclass(frozen=True, eq=False)
class TypicalSet:
    """Where the log-densities of draws from p lie, which in many dimensions is far below the largest.

    Draws are judged alone or in groups of M. A group is one draw from the product of M laws p: its log-density is the
    sum of theirs, and the law of it the M-fold convolution of the density of states.

    Attributes:
        states: the law of `log p(X)` for one X that is typical, such as that of held-out data.
        group_size: M.

    Raises:
        UserError: M is not positive, or `states` has mass at `-inf`, which is then typical.

    Example:
        >>> typical = TypicalSet(from_data(flow, held_out))
        >>> outlying = typical.p_values(flow.log_prob(x)) < 0.01
    """

    states: DensityOfStates
    group_size: int = 1

    def __post_init__(self) -> None:
        if self.group_size < 1:
            raise UserError(f"a group needs at least 1 log-density, got {self.group_size}")
        if self.states.zero_mass:
            raise UserError(f"{self.states.zero_mass:.3%} of what is to be typical has the density 0")

    @cached_property
    def _group_states(self) -> DensityOfStates:
        return convolve([self.states], [self.group_size])

    def distances(self, log_densities: ArrayLike) -> Float[np.ndarray, " groups"]:
        """`|mean of log p over the group + H|`, in nats per draw, with H the entropy: the statistic of Nalisnick et al.

        Args:
            log_densities: in nats, shape `(groups * M,)`; M that follow each other are a group.

        Raises:
            UserError: their number is no multiple of M, or one is NaN.
        """
        return np.asarray(np.abs(self._sums(log_densities) / self.group_size - self.states.mean))

    def p_values(self, log_densities: ArrayLike) -> Float[np.ndarray, " groups"]:
        """The two-sided p-value of each group, `2 min(P(Y <= y), P(Y >= y))` and at most 1, for its log-density y.

        For a group that is typical it is at most `a` with a probability of at most `a`. Where `states` is a sample of
        size n, y counts as one more of it, so that no p-value is below `2 / (n + 1)`; of larger groups this law is then
        an estimate.

        Args:
            log_densities: in nats, shape `(groups * M,)`; M that follow each other are a group.

        Raises:
            UserError: their number is no multiple of M, or one is NaN.
        """
        sums, law, n = self._sums(log_densities), self._group_states, self.states.sample_size
        tail = np.minimum(law.cdf(sums), 1 - law.cdf(sums, "left"))
        if n is not None:
            tail = (n * tail + 1) / (n + 1)
        return np.asarray(np.clip(2 * tail, 0, 1))

    def _sums(self, log_densities: ArrayLike) -> Float[np.ndarray, " groups"]:
        values = np.asarray(log_densities, np.float64).ravel()
        if len(values) % self.group_size:
            raise UserError(f"{len(values)} log-densities cannot be divided into groups of {self.group_size}")
        if np.isnan(values).any():
            raise UserError(f"{np.isnan(values).sum()} of {len(values)} log-densities are NaN")
        return np.asarray(values.reshape(-1, self.group_size).sum(axis=1))
