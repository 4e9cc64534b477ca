"""Both Kullback-Leibler divergences by quadrature, in two dimensions."""

from dataclasses import dataclass

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from scipy.special import logsumexp

from pushforward.distributions import Pushforward
from pushforward.quadrature import Box, Grid
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

SIZE = 500
MASS_TOLERANCE = 0.01
AROUND = 1e4


@dataclass(frozen=True)
class GridEstimate:
    """What quadrature says about a flow q and a target p, in nats.

    Attributes:
        reverse_kl: `KL(q || p)`; None where the grid misses more than 1% of the mass of either.
        forward_kl: `KL(p || q)`; None likewise.
        log_z: log of the integral of the target's density over the grid; None where the grid misses more than 1% of it.
        flow_mass: the mass of q on the grid: 1 for a grid that holds and resolves it.
        target_mass: the mass of p on the grid. Where the target's log Z is not known it is compared with the mass that
            a coarse rule finds around the grid, up to 10,000 times as far: heavy tails and far modes are seen, and a
            density that has no integral.
    """

    reverse_kl: float | None
    forward_kl: float | None
    log_z: float | None
    flow_mass: float
    target_mass: float


def grid_estimate(flow: Pushforward, target: Target, key: PRNGKeyArray) -> GridEstimate:
    """Both divergences on a 500 x 500 grid over the target's box and all of 10,000 draws from the flow.

    Args:
        flow: fitted to the target.
        target: of one or two dimensions.
        key: for the draws that choose the grid.
    """
    grid = Grid(bounding_box(flow, target, key), SIZE)
    log_p = grid.evaluate(eqx.filter_jit(target.log_densities))
    log_q = grid.evaluate(eqx.filter_jit(flow.log_prob))
    log_z = grid.log_integral(log_p)
    everywhere = float(logsumexp([log_z, log_mass_around(grid.box, target)])) if target.log_z is None else target.log_z
    flow_mass = float(np.exp(grid.log_integral(log_q)))
    target_mass = float(np.exp(log_z - everywhere))
    log_p = log_p - (log_z if target.log_z is None else target.log_z)
    covered = abs(flow_mass - 1) < MASS_TOLERANCE and abs(target_mass - 1) < MASS_TOLERANCE
    return GridEstimate(
        reverse_kl=grid.kl(log_q, log_p) if covered else None,
        forward_kl=grid.kl(log_p, log_q) if covered else None,
        log_z=log_z if abs(target_mass - 1) < MASS_TOLERANCE else None,
        flow_mass=flow_mass,
        target_mass=target_mass,
    )


def bounding_box(flow: Pushforward, target: Target, key: PRNGKeyArray) -> Box:
    """A box around the target's own and 10,000 draws from the flow, a tenth wider than they need."""
    draws = np.asarray(eqx.filter_jit(flow.sample)(key, (10_000,)), np.float64)
    low, high = draws.min(axis=0), draws.max(axis=0)
    margin = 0.1 * (high - low)
    low, high = low - margin, high + margin
    if target.box is not None:
        low, high = np.minimum(low, np.array(target.box)[:, 0]), np.maximum(high, np.array(target.box)[:, 1])
    return tuple((float(a), float(b)) for a, b in zip(low, high))


def log_mass_around(box: Box, target: Target) -> float:
    """Log of the integral of a density over what lies around a box, up to 10,000 times as far; it is coarse.

    The midpoint rule in `u`, `x = centre + half width * sinh(u)`; where the density is NaN it counts as 0.
    """
    edge, end = np.arcsinh(1.0), np.arcsinh(AROUND)
    edges = np.concatenate([np.linspace(a, b, 160) for a, b in ((-end, -edge), (-edge, edge), (edge, end))])
    u, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    u, widths = u[widths > 0], widths[widths > 0]
    low, high = np.transpose(box)
    half = (high - low) / 2
    axes = (low + high) / 2 + half * np.sinh(u)[:, None]
    log_weights = np.log(half * np.cosh(u)[:, None] * widths[:, None])
    points = np.stack(np.meshgrid(*axes.T, indexing="ij"), axis=-1)
    log_density = np.asarray(eqx.filter_jit(target.log_densities)(jnp.asarray(points, jnp.result_type(float))), float)
    inside = np.logical_and.outer(*2 * [np.abs(u) < edge])
    outside = ~inside & ~np.isnan(log_density)
    return float(logsumexp((log_density + np.add.outer(*log_weights.T))[outside]))
