"""What figures show of a target and a flow: densities on a grid, and points between the layers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PRNGKeyArray

from pushforward.bijections import Bijection, Stack
from pushforward.distributions import Pushforward
from pushforward.quadrature import Box, Grid
from pushforward.targets import Target

LARGEST_LOG = 300.0


def plot_box(target: Target, flow: Pushforward) -> Box:
    """The box of the target, or one around all but the outermost 0.4% of the flow's samples in each dimension."""
    if target.box is not None:
        return target.box
    return quantile_box(np.asarray(sample(flow, jax.random.key(0), 10_000)), 0.002)


def quantile_box(points: Float[np.ndarray, "n D"], tail: float) -> Box:
    """A box around the points but for a share `tail` at either end of each dimension, with a margin of 10%."""
    points = points[np.all(np.isfinite(points), axis=-1)]
    low, high = np.quantile(points, [tail, 1 - tail], axis=0)
    margin = np.where(high > low, 0.1 * (high - low), 0.5)
    return tuple((float(a), float(b)) for a, b in zip(low - margin, high + margin))


def target_density(target: Target, grid: Grid) -> Float[np.ndarray, "..."]:
    """Density of the target on the grid; where log Z is not known, normalised over the box of the grid."""
    log_density = np.asarray(_log_density(target, _points(grid)), np.float64)
    log_z = grid.log_integral(log_density) if target.log_z is None else target.log_z
    return _exp(log_density - log_z)


def flow_density(flow: Pushforward, grid: Grid) -> Float[np.ndarray, "..."]:
    """Density of the flow on the grid."""
    return _exp(np.asarray(_log_prob(flow, _points(grid)), np.float64))


def flow_densities(flows: list[Pushforward], grid: Grid) -> Float[np.ndarray, "flows ..."]:
    """Density of each of several flows of one structure on the grid."""
    arrays, static = zip(*(eqx.partition(flow, eqx.is_array) for flow in flows))
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays)
    return _exp(np.asarray(_log_probs(stacked, static[0], _points(grid)), np.float64))


def highest_density_level(density: Float[np.ndarray, "..."], mass: float) -> float:
    """The density above which a share `mass` of the probability on an even grid lies."""
    falling = np.sort(density, axis=None)[::-1]
    cumulative = np.cumsum(falling)
    return float(falling[min(np.searchsorted(cumulative, mass * cumulative[-1]), falling.size - 1)])


@eqx.filter_jit
def sample(flow: Pushforward, key: PRNGKeyArray, count: int) -> Float[Array, "n D"]:
    """Samples of the flow, compiled."""
    return flow.sample(key, (count,))


@eqx.filter_jit
def trajectory(flow: Pushforward, key: PRNGKeyArray, count: int) -> Float[Array, "steps n D"]:
    """Samples of the base and where they are after each layer of a stack; another bijection counts as one layer."""
    start = flow.base.sample(key, (count,))
    bijection = flow.bijection.resolve()
    if not isinstance(bijection, Stack):
        return jnp.stack([start, jax.vmap(bijection.forward)(start)])
    arrays, static = eqx.partition(bijection.layers, eqx.is_array)

    def step(x: Array, layer: Bijection) -> tuple[Array, Array]:
        x = jax.vmap(eqx.combine(layer, static).forward)(x)
        return x, x

    _, after = lax.scan(step, start, arrays, length=bijection.length)
    return jnp.concatenate([start[None], after])


@eqx.filter_jit
def _log_density(target: Target, points: Float[Array, "... D"]) -> Float[Array, "..."]:
    return target.log_densities(points)


@eqx.filter_jit
def _log_prob(flow: Pushforward, points: Float[Array, "... D"]) -> Float[Array, "..."]:
    return flow.log_prob(points)


@eqx.filter_jit
def _log_probs(arrays: Pushforward, static: Pushforward, points: Float[Array, "... D"]) -> Float[Array, "flows ..."]:
    return lax.map(lambda leaves: eqx.combine(leaves, static).log_prob(points), arrays)


def _points(grid: Grid) -> Float[Array, "..."]:
    return jnp.asarray(grid.points, jnp.result_type(float))


def _exp(log_density: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.exp(np.minimum(log_density, LARGEST_LOG))
