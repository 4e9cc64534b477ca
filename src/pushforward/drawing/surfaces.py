"""What figures show of a target and a flow: densities on a grid, and points between the layers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from pushforward.bijections import Bijection, Chain, Stack
from pushforward.distributions import Distribution, Pushforward
from pushforward.quadrature import Box, Grid
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

GRID_SIZE = 160
SUBPIXELS = 3
SAMPLES = 5000
NARROW = 1e-5  # of the values, a range that is none
TAIL = 0.002
LARGEST_LOG = 300.0


def plot_box(target: Target, flow: Pushforward) -> Box:
    """Where to look in 1-D or 2-D: the box of the target, or around its mass where that fills less than a third of it.

    A target without a box is looked at where the samples of the flow are.
    """
    if target.box is None:
        return quantile_box(sample(flow, jax.random.key(0)))
    grid = Grid(target.box, GRID_SIZE)
    density = target_density(target, grid)
    edges = []
    for axis, line in enumerate(grid.axes):
        marginal = density.sum(axis=tuple(set(range(density.ndim)) - {axis}))
        cumulative = (np.cumsum(marginal) - marginal / 2) / (marginal.sum() or 1.0)
        edges.append(np.interp([TAIL, 1 - TAIL], cumulative, line))
    narrow = _with_margin(*np.transpose(edges))
    filled = [(b - a) / (high - low) for (a, b), (low, high) in zip(narrow, target.box)]
    return narrow if np.prod(filled) < 1 / 3 else target.box


def quantile_box(points: Float[np.ndarray, "n D"]) -> Box:
    """A box around the finite ones of the points but for the outermost 0.4% in each dimension."""
    points = points[np.all(np.isfinite(points), axis=-1)]
    return _with_margin(*np.quantile(points, [TAIL, 1 - TAIL], axis=0))


def _with_margin(low: Float[np.ndarray, " D"], high: Float[np.ndarray, " D"]) -> Box:
    size = np.maximum(np.maximum(np.abs(low), np.abs(high)), np.finfo(np.float32).tiny / NARROW)
    # A range of a few roundings in single precision cannot be divided into bins: it is shown as one place.
    margin = np.where(high - low > NARROW * size, 0.1 * (high - low), np.maximum(0.5, 10 * NARROW * size))
    return tuple((float(a), float(b)) for a, b in zip(low - margin, high + margin))


def target_density(target: Target, grid: Grid) -> Float[np.ndarray, "..."]:
    """Density of the target on the grid; where log Z is not known, normalised over the box of the grid.

    Where it is NaN it is shown as 0.
    """
    points = jnp.asarray(grid.points, jnp.result_type(float))
    log_density = np.asarray(_log_density(target, points), np.float64)
    log_density = np.where(np.isnan(log_density), -np.inf, log_density)
    log_z = grid.log_integral(log_density) if target.log_z is None else target.log_z
    return _exp(log_density - log_z)


def flow_density(flow: Distribution, grid: Grid, subpixels: int = 1) -> Float[np.ndarray, "..."]:
    """Density of the flow on the grid, each value a mean over `subpixels` points along each dimension of its cell.

    More than one keep a filament that is thinner than the cells from being drawn as dots.
    """
    shares = (np.arange(subpixels) + 0.5) / subpixels - 0.5
    offsets = np.meshgrid(*(shares * (axis[1] - axis[0]) for axis in grid.axes))
    shifted = [grid.points + offset for offset in np.stack(offsets, axis=-1).reshape(-1, len(grid.box))]
    dtype = jnp.result_type(float)
    densities = [_exp(np.asarray(_log_prob(flow, jnp.asarray(points, dtype)), np.float64)) for points in shifted]
    return np.mean(densities, axis=0)


def highest_density_level(density: Float[np.ndarray, "..."], mass: float) -> float:
    """The density above which a share `mass` of the probability on an even grid lies."""
    falling = np.sort(density, axis=None)[::-1]
    cumulative = np.cumsum(falling)
    return float(falling[min(np.searchsorted(cumulative, mass * cumulative[-1]), falling.size - 1)])


def sample(flow: Pushforward, key: PRNGKeyArray) -> Float[np.ndarray, "n D"]:
    """5,000 samples of the flow: where `trajectory` ends."""
    return np.asarray(trajectory(flow, key)[-1], np.float64)


@eqx.filter_jit
def draws(flow: Distribution, key: PRNGKeyArray, n: int) -> tuple[Float[Array, "n *event"], Float[Array, " n"]]:
    """`n` samples of the flow and their log-densities."""
    return flow.sample_and_log_prob(key, (n,))


@eqx.filter_jit
def trajectory(flow: Pushforward, key: PRNGKeyArray) -> Float[Array, "steps n D"]:
    """5,000 samples of the base and where each layer of a stack moves them; another bijection counts as one layer.

    What follows the stack in a chain, such as the units of the data, is applied to every step.
    """
    start = flow.base.sample(key, (SAMPLES,))
    match flow.bijection.resolve():
        case Stack() as stack:
            return _through_layers(stack, start)
        case Chain(bijections=(Stack() as stack, *rest)):
            return jax.vmap(jax.vmap(Chain(tuple(rest)).forward))(_through_layers(stack, start))
        case bijection:
            return jnp.stack([start, jax.vmap(bijection.forward)(start)])


def _through_layers(stack: Stack, start: Float[Array, "n D"]) -> Float[Array, "steps n D"]:
    arrays, static = eqx.partition(stack.layers, eqx.is_array)

    def step(x: Array, layer: Bijection) -> tuple[Array, Array]:
        x = jax.vmap(eqx.combine(layer, static).forward)(x)
        return x, x

    _, after = lax.scan(step, start, arrays, length=stack.length)
    return jnp.concatenate([start[None], after])


@eqx.filter_jit
def _log_density(target: Target, points: Float[Array, "... D"]) -> Float[Array, "..."]:
    return target.log_densities(points)


@eqx.filter_jit
def _log_prob(flow: Distribution, points: Float[Array, "... D"]) -> Float[Array, "..."]:
    return flow.log_prob(points)


def _exp(log_density: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return np.exp(np.minimum(log_density, LARGEST_LOG))
