"""Laws on the line without atoms: the continuous part of a density of states."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Float
from scipy import ndimage

Side = Literal["left", "right"]
Values = Float[np.ndarray, " n"]
Law = TypeVar("Law", bound="Continuous")

NODES = 2**13


class Continuous(ABC):
    """A law of log-densities, in nats, that has no atoms.

    Attributes:
        mean: of the law.
        variance: of the law.
    """

    @property
    @abstractmethod
    def mean(self) -> float: ...

    @property
    @abstractmethod
    def variance(self) -> float: ...

    @abstractmethod
    def cdf(self, y: Values, side: Side = "right") -> Values:
        """`P(Y <= y)`, or `P(Y < y)` from the left: they differ for samples only."""

    @abstractmethod
    def quantile(self, u: Values) -> Values:
        """The least y with `P(Y <= y) >= u`, for u between 0 and 1."""

    @abstractmethod
    def pdf(self, y: Values) -> Values:
        """Density at `y`, in 1 / nats; 0 outside the support."""

    @abstractmethod
    def shift(self: Law, offset: float) -> Law:
        """The law of `Y + offset`."""

    def nodes(self, count: int = NODES) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Ascending values and their weights: the mean of f under the law is `sum(weights * f(values))`.

        The midpoint rule for the quantile function, on cells that shrink towards both ends, where it may be infinite.
        """
        middles, weights = graded_cells(count)
        return self.quantile(middles), weights


def graded_cells(count: int) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Midpoints and lengths of `count` cells of [0, 1], whose lengths vanish linearly towards both ends."""
    v = np.linspace(0, 1, count + 1)
    edges = v**2 * (3 - 2 * v)
    return (edges[1:] + edges[:-1]) / 2, np.diff(edges)


@dataclass(frozen=True, eq=False)
class Samples(Continuous):
    """The empirical law of samples; its density is a kernel estimate.

    Attributes:
        values: ascending, at least one; shape `(n,)`.
    """

    values: Float[np.ndarray, " n"]

    @cached_property
    def mean(self) -> float:
        return float(self.values.mean())

    @cached_property
    def variance(self) -> float:
        return float(self.values.var())

    def cdf(self, y: Values, side: Side = "right") -> Values:
        below: Values = np.searchsorted(self.values, y, side) / len(self.values)
        return below

    def quantile(self, u: Values) -> Values:
        # A product that is a whole number up to rounding is one: the quantile at k / n is the k-th value.
        ranks = np.ceil(u * len(self.values) * (1 - 1e-15)).astype(int)
        quantiles: Values = self.values[np.maximum(ranks, 1) - 1]
        return quantiles

    def pdf(self, y: Values) -> Values:
        centres, density = self._kernel_estimate
        return np.asarray(np.interp(y, centres, density, left=0, right=0))

    def shift(self, offset: float) -> "Samples":
        return Samples(self.values + offset)

    def nodes(self, count: int = NODES) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        return self.values, np.full(len(self.values), 1 / len(self.values))

    @cached_property
    def _kernel_estimate(self) -> tuple[Float[np.ndarray, " cells"], Float[np.ndarray, " cells"]]:
        """Gaussian kernels with the bandwidth of Silverman, 1986, "Density estimation", equation 3.31, on a grid."""
        low, high = self.values[[0, -1]]
        quartiles = self.quantile(np.array([0.25, 0.75]))
        spreads = np.array([self.variance**0.5, (quartiles[1] - quartiles[0]) / 1.34, high - low])
        bandwidth = 0.9 * spreads[spreads > 0].min(initial=1.0 if high == low else np.inf) / len(self.values) ** 0.2
        margin = 5 * bandwidth
        cells = int(np.clip(8 * (high - low + 2 * margin) / bandwidth, 64, 2**20))
        counts, edges = np.histogram(self.values, cells, (low - margin, high + margin))
        width = edges[1] - edges[0]
        smooth = ndimage.gaussian_filter1d(counts.astype(float), bandwidth / width, mode="constant", truncate=5)
        return (edges[1:] + edges[:-1]) / 2, smooth / (len(self.values) * width)


@dataclass(frozen=True, eq=False)
class Tabulated(Continuous):
    """A law with a piecewise constant density on cells of one width.

    Attributes:
        low: lower end of the first cell.
        width: of a cell.
        masses: of the cells, shape `(n,)`; their sum is 1.
    """

    low: float
    width: float
    masses: Float[np.ndarray, " n"]

    @cached_property
    def _edges(self) -> Float[np.ndarray, " edges"]:
        return self.low + self.width * np.arange(len(self.masses) + 1)

    @property
    def _centres(self) -> Float[np.ndarray, " n"]:
        return self._edges[:-1] + self.width / 2

    @cached_property
    def _cumulative(self) -> Float[np.ndarray, " edges"]:
        return np.concatenate([[0.0], np.cumsum(self.masses)])

    @cached_property
    def mean(self) -> float:
        return float(np.sum(self.masses * self._centres))

    @cached_property
    def variance(self) -> float:
        return float(np.sum(self.masses * (self._centres - self.mean) ** 2))

    def cdf(self, y: Values, side: Side = "right") -> Values:
        return np.asarray(np.interp(y, self._edges, self._cumulative))

    def quantile(self, u: Values) -> Values:
        return np.asarray(np.interp(u, self._cumulative, self._edges))

    def pdf(self, y: Values) -> Values:
        return np.asarray(np.interp(y, self._centres, self.masses / self.width, left=0, right=0))

    def shift(self, offset: float) -> "Tabulated":
        return replace(self, low=self.low + offset)
