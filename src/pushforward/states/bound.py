"""What a volume-preserving flow must lose on a density, before one is trained."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, logsumexp

from pushforward.errors import UserError, nearest
from pushforward.evaluation import pareto_k
from pushforward.states.bootstrap import LEVEL, REPLICATES, bootstrap
from pushforward.states.continuous import graded_edges
from pushforward.states.convolution import convolve
from pushforward.states.density import DensityOfStates, from_log_densities

Dim = float | np.integer[Any] | None
Base = Literal["normal", "student-t", "uniform"]

SHELLS = 2**17
ATOM_SHELLS = 2**13
LARGEST_K_HAT, ONE_SIDED = 0.7, 1.645
FEW = 100_000
"""Draws of the base that a bound is held against first, however many samples it is of."""

Shells = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class Bound:
    """The least Kullback-Leibler divergence that a map of constant determinant can reach, with its interval.

    Attributes:
        nats: the bound.
        low: lower end of its bootstrap interval; equal to `nats` for an exact density of states, and 0 where as much
            comes, in standard errors, of draws from the base.
        high: upper end.
        dim: dimensions D.
        base: what the maps start from.
        log_scale: log of the scale s of the base at the minimum; of a uniform base, of the radius of its ball.
    """

    nats: float
    low: float
    high: float
    dim: int
    base: Base
    log_scale: float

    @property
    def per_dim(self) -> float:
        """The bound in nats per dimension."""
        return self.nats / self.dim


def volume_preserving_bound(
    log_densities: ArrayLike | DensityOfStates,
    dim: Dim = None,
    base: Base = "normal",
    *,
    df: float = 3.0,
    beside: DensityOfStates | None = None,
    replicates: int = REPLICATES,
    level: float = LEVEL,
    seed: int = 0,
) -> Bound:
    """A lower bound of `KL(p || f#q)` over every f with constant determinant, from the density of states of p alone.

    `f#q` is the pushforward of the base q. The bound is `min_s KL(p* || q_s)`: p* is p rearranged, level by level,
    into a density that decreases with the radius, and `q_s` the base scaled by s. The proof is in
    `docs/density-of-states.md`. The samples may come from anywhere where log p is known at draws of p; n well above
    the standard deviation of log p in nats resolves the levels.

    Args:
        log_densities: log p of draws from p in nats, normalised, of any shape; or the density of states of p.
        dim: dimensions D of the space.
        base: `"normal"` is `N(0, s^2 I)`, which with a map of constant determinant is every normal distribution.
            `"student-t"` is the spherical multivariate t of density `(1 + |x|^2 / (df s^2))^(-(df + D) / 2)`, which is
            not the product of D Student-t distributions. `"uniform"` is uniform on a ball, a box or any other set, all
            of one density of states; its bound is the log-volume of p's support less the entropy of p, and inf where
            samples cannot tell that volume (a Pareto k-hat that may be 0.7 or more), as with every unbounded support.
        df: degrees of freedom of `"student-t"`.
        beside: the density of states of further dimensions, which are independent of those that were drawn and known
            exactly; D counts both. Noise of many dimensions is better left to it than drawn: what the samples of p add
            to a bound near 0 grows with the variance of their log-densities over n.
        replicates: how often the samples are drawn anew for the interval.
        level: of the interval.
        seed: of the draws.

    Raises:
        UserError: there are no log-densities, one is not finite, `dim` is not a positive whole number, or the base is
            unknown.

    Example:
        >>> volume_preserving_bound(np.zeros(1000), dim=2).nats  # uniform on a set of volume 1
        0.3068528...
    """
    dim = checked_dim(dim)
    if base not in get_args(Base):
        raise UserError(f"unknown base {base!r}{nearest(base, get_args(Base))}")
    if not df > 0:
        raise UserError(f"degrees of freedom are positive, got {df}")
    states = log_densities if isinstance(log_densities, DensityOfStates) else from_log_densities(log_densities)
    if states.zero_mass:
        raise UserError(f"{states.zero_mass:.3%} of the log-densities are -inf: draws of p have a positive density")
    bounds: dict[Base, Callable[[Shells, int], tuple[float, float]]] = {
        "normal": _normal,
        "student-t": partial(_student_t, df=df),
        "uniform": _uniform,
    }
    if base == "uniform" and not _has_volume(states):
        return Bound(np.inf, 0.0, np.inf, dim, base, np.inf)

    def bound(states: DensityOfStates) -> tuple[float, float]:
        return bounds[base](_shells(states if beside is None else convolve([states, beside])), dim)

    def nats(states: DensityOfStates) -> Float[np.ndarray, "1"]:
        return np.array([bound(states)[0]])

    (estimate,) = bootstrap(nats, states, replicates=replicates, level=level, seed=seed)
    low = max(estimate.low, 0.0)
    if low > 0 and beside is None and states.sample_size is not None and base != "uniform":
        df = df if base == "student-t" else math.inf

        def estimate_and_deviation(states: DensityOfStates) -> tuple[float, float]:
            shells = _shells(states)
            nats, log_scale = bounds[base](shells, dim)
            return nats, _deviation(shells, dim, df, log_scale)

        found, deviation = estimate_and_deviation(states)

        def beyond_nothing(n: int) -> bool:
            """Whether the bound in its standard errors is beyond those of n draws of the base."""
            nothing = (
                estimate_and_deviation(from_log_densities(_base_log_densities(rng, df, dim, n)))
                for rng in _generators(seed, level)
            )
            # Ratios, multiplied out: draws of one log-density do not deviate.
            return all(found * other > nats * deviation for nats, other in nothing)

        # Of fewer draws of the base the ratio is the larger, so that what is beyond theirs needs no more of them.
        n = states.sample_size
        low = low if beyond_nothing(min(n, FEW)) or (n > FEW and beyond_nothing(n)) else 0.0
    return Bound(estimate.value, low, max(estimate.high, 0.0), dim, base, bound(states)[1])


def _generators(seed: int, level: float) -> Iterator[np.random.Generator]:
    """As many as a Monte Carlo test of the level of the interval's lower end takes (Barnard, 1963)."""
    count = math.ceil(2 / (1 - level)) - 1
    return (np.random.default_rng((seed, replicate)) for replicate in range(count))


def _base_log_densities(rng: np.random.Generator, df: float, dim: int, n: int) -> Float[np.ndarray, " n"]:
    """Log-densities, up to a constant, of n draws of the spherical t, or of N(0, I) where `df` is infinite."""
    squares = rng.chisquare(dim, n)
    if df == math.inf:
        return -0.5 * squares
    return -0.5 * (df + dim) * np.log1p(squares / rng.chisquare(df, n))


def _deviation(shells: Shells, dim: int, df: float, log_scale: float) -> float:
    """The standard error of a bound times the root of the number of draws, by its influence function.

    A draw counts by its own log-density, by its cross-entropy, and by its volume, which moves all shells further out.
    The scale of the base is at its minimum, so that what it moves by counts for nothing.
    """
    levels, masses = shells
    log_radii = _log_radii(shells, dim) - log_scale
    if df == math.inf:
        cost, log_slope = 0.5 * np.exp(2 * log_radii), 2 * log_radii
    else:
        log_ratio = 2 * log_radii - math.log(df)
        cost = 0.5 * (df + dim) * np.logaddexp(0, log_ratio)
        log_slope = math.log(df + dim) - np.logaddexp(0, -log_ratio)
    log_enclosed = dim * _log_radii(shells, dim) + _log_unit_ball(dim)
    log_outer = np.logaddexp.accumulate((np.log(masses / dim) + log_slope - log_enclosed)[::-1])[::-1]
    influence = levels + cost + np.exp(log_outer - levels)
    return math.sqrt(masses @ (influence - masses @ influence) ** 2)


def checked_dim(dim: Dim) -> int:
    """`dim` as a positive whole number.

    Raises:
        UserError: it is none, or missing.
    """
    if dim is None:
        raise UserError("the number of dimensions D is missing")
    if not (dim > 0 and float(dim).is_integer()):
        raise UserError(f"the number of dimensions D is a positive whole number, got {dim}")
    return int(dim)


def _shells(states: DensityOfStates) -> Shells:
    """Log-densities in descending order and their masses; an atom is cut into many shells of one log-density."""
    levels, masses = (np.zeros(0), np.zeros(0)) if states.continuous is None else states.continuous.nodes(SHELLS)
    levels, masses = levels[::-1], masses[::-1] * states.continuous_mass
    if not len(states.positions):
        return levels, masses
    counts = np.ceil(ATOM_SHELLS * states.masses).astype(int)
    pieces = [mass * np.diff(graded_edges(int(count))) for mass, count in zip(states.masses, counts)]
    levels = np.concatenate([levels, np.repeat(states.positions, counts)])
    masses = np.concatenate([masses, *pieces])
    order = np.argsort(-levels, kind="stable")
    return levels[order], masses[order]


def _log_radii(shells: Shells, dim: int) -> Float[np.ndarray, " n"]:
    """Log of the radius that halves each shell when they are laid around 0 in turn: a shell fills `mass / density`."""
    levels, masses = shells
    log_volumes = np.log(masses) - levels
    log_enclosed = np.logaddexp.accumulate(log_volumes)
    log_middle = log_enclosed + np.log1p(-0.5 * np.exp(log_volumes - log_enclosed))
    return (log_middle - _log_unit_ball(dim)) / dim


def _log_unit_ball(dim: int) -> float:
    return 0.5 * dim * math.log(math.pi) - float(gammaln(0.5 * dim + 1))


def _normal(shells: Shells, dim: int) -> tuple[float, float]:
    """The bound and the log of the scale, which is `s^2 = E r^2 / D` at the minimum."""
    levels, masses = shells
    log_variance = float(logsumexp(2 * _log_radii(shells, dim), b=masses)) - math.log(dim)
    nats = float(masses @ levels) + 0.5 * dim * (math.log(2 * math.pi) + 1 + log_variance)
    return nats, 0.5 * log_variance


def _student_t(shells: Shells, dim: int, df: float) -> tuple[float, float]:
    """The bound and the log of the scale, in which the cross-entropy is convex."""
    levels, masses = shells
    log_squares = 2 * _log_radii(shells, dim) - math.log(df)
    log_constant = float(gammaln(0.5 * (df + dim)) - gammaln(0.5 * df)) - 0.5 * dim * math.log(df * math.pi)

    def cross_entropy(log_scale: float) -> float:
        log_growth = np.logaddexp(0, log_squares - 2 * log_scale)
        return dim * log_scale - log_constant + 0.5 * (df + dim) * float(masses @ log_growth)

    centre = 0.5 * float(masses @ log_squares)
    minimum = minimize_scalar(cross_entropy, bracket=(centre - 0.5, centre + 0.5), tol=1e-10)
    return float(masses @ levels) + float(minimum.fun), float(minimum.x)


def _uniform(shells: Shells, dim: int) -> tuple[float, float]:
    """The log-volume of the support less the entropy, and the log of the radius of a ball of that volume."""
    levels, masses = shells
    log_volume = float(logsumexp(-levels, b=masses))
    return float(masses @ levels) + log_volume, (log_volume - _log_unit_ball(dim)) / dim


def _has_volume(states: DensityOfStates) -> bool:
    """Whether the volume of the support, the mean of `exp(-Y)`, can be told: not by few draws, unless levels repeat."""
    if states.continuous is None or (len(states.positions) and states.positions.min() <= states.quantile(np.zeros(1))):
        return True
    count = min(SHELLS, states.sample_size or SHELLS)
    k_hat = pareto_k(-states.quantile((np.arange(count) + 0.5) / count))
    if k_hat is None:
        return False
    # The standard error of the shape of a generalised Pareto law (Smith, 1987, "Estimating tails of probability
    # distributions") from that tail.
    error = (1 + max(k_hat, 0)) / math.sqrt(min(count / 5, 3 * math.sqrt(count))) if states.sample_size else 0.0
    return k_hat + ONE_SIDED * error < LARGEST_K_HAT
