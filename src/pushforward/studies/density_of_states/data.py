"""The data of flows on inflated manifolds, and what is known of them exactly."""

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward import manifolds, states
from pushforward.manifolds import Inflated
from pushforward.states import Bound, DensityOfStates
from pushforward.types import PRNGKeyArray

DIAGONALS = "matched", "fixed", "trained", "none"

VALIDATION, TEST, TRUTH = 500, 2**16, 2**15
DRAWS_OF_BOUND = 2**18
SHOWN = 64
LEVELS = (np.arange(100) + 0.5) / 100


@dataclass(frozen=True)
class Cell:
    """A flow of one family on one inflated manifold.

    Attributes:
        manifold: one of `manifolds.MANIFOLDS`.
        manifold_dim: d; None is the manifold's own.
        dim: D.
        noise: one of `manifolds.NOISES`.
        variance: of the noise in each dimension, s^2.
        flow: one of `FLOWS`.
        base: one of `BASES`.
        diagonal: one of `DIAGONALS`, maps of constant determinant around the layers. `fixed`: one that standardises
            the data, which is 1/s in the dimensions normal to the manifold; `trained`: the location and scale of the
            base; `matched`: both.
    """

    manifold: str
    dim: int
    noise: str
    variance: float
    flow: str
    base: str = "normal"
    diagonal: str = "matched"
    manifold_dim: int | None = None

    @property
    def name(self) -> str:
        """Of its file."""
        dims = "" if self.manifold_dim is None else f"{self.manifold_dim}in"
        return (
            f"{self.manifold}-{dims}{self.dim}-{self.noise}-{self.variance:g}-{self.flow}-{self.base}-{self.diagonal}"
        )

    def inflated(self) -> Inflated:
        """The distribution of the data."""
        manifold = manifolds.make(self.manifold, self.manifold_dim)
        return manifolds.inflate(manifold, self.dim, self.noise, scale=math.sqrt(self.variance))


class InflatedData:
    """The data of a cell.

    Attributes:
        cell: the cell.
        inflated: the distribution.
        points: of the manifold, `size` of them, to train on.
        validation: rows with noise.
        test: rows with noise.
        log_p: log-density of the test rows; None without noise.
        along: points of the manifold, embedded, without noise.
        log_p_along: log-density on the manifold there.
        states: the density of states; None without noise.
        truth: numbers that do not depend on the flow; none without noise.
    """

    def __init__(self, cell: Cell, size: int, seed: int) -> None:
        self.cell = cell
        self.inflated = cell.inflated()
        drawn = _draw(self.inflated, jax.random.key(seed), size, with_density=cell.variance > 0)
        self.points, self.validation, self.test, self.along, log_p_along, log_p = drawn
        self.log_p_along = np.asarray(log_p_along, np.float64)
        self.log_p: Float[np.ndarray, " n"] | None = None
        self.states: DensityOfStates | None = None
        self.truth: dict[str, Any] = {}
        if log_p is not None:
            self.log_p = np.asarray(log_p, np.float64)
            self.states, truth = _truth(cell.manifold, cell.manifold_dim, cell.dim, cell.noise, cell.variance, seed)
            self.truth = {
                **truth,
                "position": np.asarray(self.test[:SHOWN, 0], np.float64).tolist(),
                "states": drawn_states(self.states),
                "states_on_manifold": drawn_states(states.from_log_densities(self.log_p_along)),
            }
            if cell.noise == "normal":
                self.truth["deflation"] = self.deflation

    @property
    def diagonal(self) -> tuple[Float[Array, " D"], Float[Array, " D"]]:
        """Mean and standard deviation of the data in each dimension, or 0 and 1 if they are to be left as they are."""
        dim, variance = self.cell.dim, self.cell.variance
        if self.cell.diagonal not in ("matched", "fixed"):
            return jnp.zeros(dim), jnp.ones(dim)
        # Without noise there is nothing to divide by in the dimensions normal to the manifold.
        varies = jnp.arange(dim) < self.inflated.manifold.ambient_dim
        within = jnp.var(self.along, axis=0) + variance
        return jnp.mean(self.along, axis=0), jnp.sqrt(jnp.where(varies | (variance > 0), within, 1))

    @property
    def deflation(self) -> float:
        """Log-density of the normal noise where there is none, which `log q` has to lose on the manifold.

        `-(D - d) / 2 log(2 pi s^2)` (Horvat & Pfister, 2021, "Denoising normalizing flow").
        """
        codim = self.cell.dim - self.inflated.manifold.dim
        return -0.5 * codim * math.log(2 * math.pi * self.cell.variance)


def drawn_states(law: DensityOfStates) -> dict[str, Any]:
    """A density of states as numbers for a figure: its quantiles at `LEVELS`, and its atoms with their masses."""
    return {
        "quantiles": law.quantile(LEVELS).tolist(),
        "atoms": np.stack([law.positions, law.masses], axis=1).tolist(),
    }


@cache
def _truth(
    manifold: str, manifold_dim: int | None, dim: int, noise: str, variance: float, seed: int
) -> tuple[DensityOfStates, dict[str, float]]:
    """The density of states, the bound, and the best Normal: many flows are measured on the same data."""
    inflated = manifolds.inflate(manifolds.make(manifold, manifold_dim), dim, noise, scale=math.sqrt(variance))
    key = jax.random.fold_in(jax.random.key(seed), 1)
    law = states.from_draws(inflated, key, TRUTH)
    k = inflated.manifold.ambient_dim
    bound = _bound(manifold, manifold_dim, dim, noise, variance)
    points = np.asarray(inflated.manifold.sample(key, (TRUTH,)), np.float64)
    covariance = variance * np.eye(k) + np.cov(points.T, ddof=0).reshape(k, k) if k else np.zeros((0, 0))
    log_det = np.linalg.slogdet(covariance)[1] + (dim - k) * math.log(variance)
    return law, {
        "negative_entropy": law.mean,
        "states_variance": law.variance,
        "bound": bound.nats,
        "bound_low": bound.low,
        "bound_high": bound.high,
        "gaussian_kl": law.mean + 0.5 * (dim * math.log(2 * math.pi * math.e) + log_det),
    }


@cache
def _bound(manifold: str, manifold_dim: int | None, dim: int, noise: str, variance: float) -> Bound:
    """What a map of constant determinant loses: the manifold is drawn, the noise of the dimensions beside it exact."""
    drawn, scale = manifolds.make(manifold, manifold_dim), math.sqrt(variance)
    k = drawn.ambient_dim
    beside = None
    if k < dim:
        law = manifolds.inflate(drawn, dim, noise, scale=scale).noise.law(dim - k)
        beside = states.density_of_states(law).shift(-(dim - k) * math.log(scale))
        if k == 0:
            return states.volume_preserving_bound(beside, dim)
    along = states.from_draws(manifolds.inflate(drawn, k, noise, scale=scale), jax.random.key(0), DRAWS_OF_BOUND)
    return states.volume_preserving_bound(along, dim, beside=beside, replicates=25)


@eqx.filter_jit
def _draw(
    inflated: Inflated, key: PRNGKeyArray, size: int, *, with_density: bool
) -> tuple[Array, Array, Array, Array, Array, Any]:
    """The arrays of `InflatedData`: points, validation, test, along, and log-densities along and of the test rows."""
    key_train, key_validation, key_test, key_along = jax.random.split(key, 4)
    manifold = inflated.manifold
    points = inflated.embed(manifold.sample(key_train, (size,)))
    along = manifold.sample(key_along, (TEST,))
    if with_density:
        test, log_p = inflated.sample_and_log_prob(key_test, (TEST,))
    else:
        test, log_p = inflated.sample(key_test, (TEST,)), None
    validation = inflated.sample(key_validation, (VALIDATION,))
    return points, validation, test, inflated.embed(along), manifold.log_density(along), log_p
