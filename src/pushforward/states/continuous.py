"""Laws on the line without atoms: the continuous part of a density of states."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from jaxtyping import Float
from scipy import ndimage
from scipy.interpolate import CubicHermiteSpline

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
        """`P(Y <= y)`, or `P(Y < y)` from the left: they differ for samples only.

        Args:
            y: values of log p.
            side: `"right"` for P(log p <= y), `"left"` for P(log p < y).
        """

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
        edges = graded_edges(count)
        return self.quantile((edges[1:] + edges[:-1]) / 2), np.diff(edges)

    def divided(self, low: float, width: float, points: int, count: int = NODES) -> Float[np.ndarray, " points"]:
        """The mass on a regular grid, each bit of it divided between the two nearest points so that its mean stays.

        It is the second difference of the integral of the distribution function, which is taken to be linear between
        `count + 1` quantiles.

        Args:
            low: the first point.
            width: of the spacing.
            points: how many there are; what lies beyond the last ones goes to them.
            count: cells of probability between the quantiles.
        """
        edges = graded_edges(count)
        edges[0] = edges[1] / 16  # not at the end of an infinite tail
        values, first = np.unique(self.quantile(edges), return_index=True)
        below = edges[first]
        below[[0, -1]] = 0, 1
        integral = np.concatenate([[0.0], np.cumsum(np.diff(values) * (below[1:] + below[:-1]) / 2)])
        interpolated = CubicHermiteSpline(values, integral, below)
        grid = low + width * np.arange(-1, points + 1)
        inside = np.clip(grid, values[0], values[-1])
        expected_excess = interpolated(inside) + np.maximum(grid - values[-1], 0)
        masses = np.diff(expected_excess, 2) / width
        # Rounding errors where there is no mass would be small, but far out in a tail after convolutions.
        masses[(grid[:-2] >= values[-1]) | (grid[2:] <= values[0])] = 0
        masses[0] += (expected_excess[1] - expected_excess[0]) / width
        masses[-1] += 1 - (expected_excess[-1] - expected_excess[-2]) / width
        return np.asarray(masses)


def graded_edges(count: int) -> Float[np.ndarray, " edges"]:
    """The edges of `count` cells of [0, 1], whose lengths vanish linearly towards both ends."""
    v = np.linspace(0, 1, count + 1)
    return np.asarray(v**2 * (3 - 2 * v))


def divided_points(
    positions: Float[np.ndarray, " n"], masses: Float[np.ndarray, " n"], low: float, width: float, points: int
) -> Float[np.ndarray, " points"]:
    """Point masses on a regular grid, as in `Continuous.divided`."""
    places = np.clip((positions - low) / width, 0, points - 1)
    index = np.minimum(places.astype(int), points - 2)
    upper = masses * (places - index)
    binned = np.bincount(index, masses - upper, points) + np.bincount(index + 1, upper, points)
    return binned.astype(float)


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
        return np.searchsorted(self.values, y, side) / len(self.values)

    def quantile(self, u: Values) -> Values:
        # A product that is a whole number up to rounding is one: the quantile at k / n is the k-th value.
        ranks = np.ceil(u * len(self.values) * (1 - 1e-15)).astype(int)
        return self.values[np.maximum(ranks, 1) - 1]

    def pdf(self, y: Values) -> Values:
        centres, density = self._kernel_estimate
        return np.asarray(np.interp(y, centres, density, left=0, right=0))

    def shift(self, offset: float) -> "Samples":
        return Samples(self.values + offset)

    def nodes(self, count: int = NODES) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        return self.values, np.full(len(self.values), 1 / len(self.values))

    def divided(self, low: float, width: float, points: int, count: int = NODES) -> Float[np.ndarray, " points"]:
        return divided_points(*self.nodes(), low, width, points)

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
