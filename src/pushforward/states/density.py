"""The density of states: the law of `Y = log p(X)` for X drawn from p."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.typing import ArrayLike

from pushforward.errors import UserError
from pushforward.states.continuous import Continuous, Samples, Side

ATOM_MASS = 1e-3
ATOM_COUNT = 3


class Histogram(NamedTuple):
    """The continuous part in bins.

    Attributes:
        edges: of the bins, in nats, shape `(bins + 1,)`.
        density: mean density in each bin, in 1 / nats, shape `(bins,)`.
    """

    edges: Float[np.ndarray, " bins+1"]
    density: Float[np.ndarray, " bins"]


@dataclass(frozen=True, eq=False)
class DensityOfStates:
    """The law of `Y = log p(X)`, X drawn from p, in nats: atoms, and a continuous part that holds the rest of the mass.

    Exact and empirical laws are the same object. A log-density of `-inf` is an atom at `-inf`; then the mean is `-inf`
    and the variance NaN.

    Attributes:
        positions: of the atoms, ascending, shape `(k,)`.
        masses: of the atoms, positive, shape `(k,)`.
        continuous: the law of Y given that it is at none of them; None where they have all the mass.
        sample_size: the number of log-densities behind it; None for an exact law.

    Example:
        >>> states = from_log_densities(flow.log_prob(x))
        >>> states.mean, states.quantile([0.05, 0.5, 0.95])
    """

    positions: Float[np.ndarray, " k"]
    masses: Float[np.ndarray, " k"]
    continuous: Continuous | None
    sample_size: int | None = None

    @staticmethod
    def atom(position: float) -> "DensityOfStates":
        """All mass at one log-density: what every uniform distribution has."""
        return DensityOfStates(np.array([float(position)]), np.ones(1), None)

    @staticmethod
    def smooth(law: Continuous) -> "DensityOfStates":
        """A law without atoms."""
        return DensityOfStates(np.zeros(0), np.zeros(0), law)

    @property
    def continuous_mass(self) -> float:
        """The mass outside the atoms."""
        return 0.0 if self.continuous is None else float(1 - self.masses.sum())

    @property
    def zero_mass(self) -> float:
        """The mass at `-inf`, where the density is 0."""
        return float(self.masses[np.isneginf(self.positions)].sum())

    @cached_property
    def mean(self) -> float:
        """Mean of Y: minus the differential entropy of p."""
        atoms = float(np.sum(self.masses * self.positions))
        return atoms if self.continuous is None else atoms + self.continuous_mass * self.continuous.mean

    @cached_property
    def variance(self) -> float:
        """Variance of Y, of samples the mean square about their mean."""
        if self.zero_mass:
            return np.nan
        atoms = float(np.sum(self.masses * (self.positions - self.mean) ** 2))
        if self.continuous is None:
            return atoms
        return atoms + self.continuous_mass * (self.continuous.variance + (self.continuous.mean - self.mean) ** 2)

    def cdf(self, y: ArrayLike, side: Side = "right") -> Float[np.ndarray, "..."]:
        """`P(Y <= y)`, from the left `P(Y < y)`; of the shape of `y`.

        Args:
            y: values of log p.
            side: `"right"` for P(log p <= y), `"left"` for P(log p < y).
        """
        y = np.asarray(y, np.float64)
        flat = y.ravel()
        below = np.concatenate([[0.0], np.cumsum(self.masses)])
        total = below[np.searchsorted(self.positions, flat, side)]
        if self.continuous is not None:
            total = total + self.continuous_mass * self.continuous.cdf(flat, side)
        return total.reshape(y.shape)

    def quantile(self, u: ArrayLike) -> Float[np.ndarray, "..."]:
        """The least y with `P(Y <= y) >= u`; of the shape of `u`.

        Raises:
            UserError: a probability is not between 0 and 1.
        """
        u = np.asarray(u, np.float64)
        if not np.all((u >= 0) & (u <= 1)):
            raise UserError(f"probabilities lie between 0 and 1, got {u.min():g} to {u.max():g}")
        flat = u.ravel()
        before, after = self.cdf(self.positions, "left"), self.cdf(self.positions)
        # The atom that a probability belongs to, or the next one above it.
        atom = np.searchsorted(after, flat)
        result = np.append(self.positions, np.nan)[np.minimum(atom, len(after))]
        if self.continuous is not None:
            free = flat <= np.append(before, 1)[atom]
            jumped = np.concatenate([[0.0], np.cumsum(self.masses)])[atom[free]]
            rest = np.clip((flat[free] - jumped) / self.continuous_mass, 0, 1)
            result[free] = self.continuous.quantile(rest)
        elif len(flat):
            result = np.where(atom < len(after), result, self.positions[-1])
        return result.reshape(u.shape)

    def pdf(self, y: ArrayLike) -> Float[np.ndarray, "..."]:
        """Density of the continuous part, in 1 / nats, of the shape of `y`; its integral and `masses` make 1.

        Of samples it is a kernel estimate, which smooths over the edges of the law; `histogram` does not.
        """
        y = np.asarray(y, np.float64)
        if self.continuous is None:
            return np.zeros(y.shape)
        return (self.continuous_mass * self.continuous.pdf(y.ravel())).reshape(y.shape)

    def histogram(self, bins: int | Float[np.ndarray, " edges"] = 100) -> Histogram:
        """The continuous part in bins: areas and `masses` make 1.

        Args:
            bins: their edges, ascending, or how many there are between the quantiles 0.0005 and 0.9995.

        Raises:
            UserError: there is no bin.
        """
        edges = np.asarray(bins, np.float64) if isinstance(bins, np.ndarray) else self._edges(bins)
        if len(edges) < 2:
            raise UserError(f"a histogram needs at least 1 bin, got {len(edges) - 1}")
        if self.continuous is None:
            return Histogram(edges, np.zeros(len(edges) - 1))
        return Histogram(edges, self.continuous_mass * np.diff(self.continuous.cdf(edges)) / np.diff(edges))

    def _edges(self, bins: int) -> Float[np.ndarray, " edges"]:
        if self.continuous is None:
            low, high = self.positions[[0, -1]] + np.array([-0.5, 0.5])
        else:
            low, high = self.continuous.quantile(np.array([5e-4, 1 - 5e-4]))
        return np.linspace(low, high, max(bins, 0) + 1)

    def shift(self, offset: float) -> "DensityOfStates":
        """The law of `Y + offset`: a map of constant log-determinant c shifts a density of states by `-c`."""
        continuous = None if self.continuous is None else self.continuous.shift(offset)
        return DensityOfStates(self.positions + offset, self.masses, continuous, self.sample_size)

    def resample(self, rng: np.random.Generator) -> "DensityOfStates":
        """A bootstrap sample of the same size; an exact law stays as it is."""
        if self.sample_size is None:
            return self
        n = self.sample_size
        *atoms, rest = rng.multinomial(n, np.append(self.masses, self.continuous_mass))
        counts = np.array(atoms, int)
        continuous = None
        if isinstance(self.continuous, Samples) and rest:
            values = self.continuous.values
            repeats = np.bincount(rng.integers(len(values), size=rest), minlength=len(values))
            continuous = Samples(np.repeat(values, repeats))
        return DensityOfStates(self.positions[counts > 0], counts[counts > 0] / n, continuous, n)


def from_log_densities(log_densities: ArrayLike) -> DensityOfStates:
    """The density of states of samples, given their log-densities.

    A value is an atom where at least one in a thousand of the samples, and three of them, have it exactly: rounding to
    float32 repeats values too, but not as often. Where rounding blurs an atom, round the log-densities first. `-inf`
    is always an atom.

    Args:
        log_densities: in nats, of any shape.

    Raises:
        UserError: there is none, or one is NaN or +inf.
    """
    given = np.asarray(log_densities)
    values = np.sort(given.astype(np.float64, copy=False), axis=None)
    n = len(values)
    if n == 0:
        raise UserError("there are no log-densities")
    if not values[-1] < np.inf:
        _refuse(given.ravel())
    positions, counts = _repeated(values, min(n, max(ATOM_COUNT, int(np.ceil(ATOM_MASS * n)))))
    if np.isneginf(values[0]) and not (len(positions) and np.isneginf(positions[0])):
        positions = np.append(-np.inf, positions)
        counts = np.append(np.searchsorted(values, -np.inf, "right"), counts)
    starts = np.searchsorted(values, positions)
    pieces = np.split(values, np.stack([starts, starts + counts], axis=1).ravel())[::2]
    rest = values if len(positions) == 0 else np.concatenate(pieces)
    return DensityOfStates(positions, counts / n, Samples(rest) if len(rest) else None, n)


def _repeated(values: Float[np.ndarray, " n"], least: int) -> tuple[Float[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """The values that occur at least `least` times in ascending `values`, and how often."""
    ends = values[least - 1 :]
    positions = np.unique(ends[ends == values[: len(ends)]])
    counts = np.searchsorted(values, positions, "right") - np.searchsorted(values, positions, "left")
    return positions, counts


def _refuse(values: Float[np.ndarray, " n"]) -> None:
    for name, bad in (("NaN", np.isnan(values)), ("+inf", np.isposinf(values))):
        if bad.any():
            raise UserError(
                f"{bad.sum()} of {len(values)} log-densities are {name}, the first is number {bad.argmax()}"
            )
