"""Integrals by the Gauss-Legendre rule, of integrands given in logs."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

NODES = 32


@cache
def _rule() -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Nodes on [0, 1] and their weights."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    return (1 + nodes) / 2, weights / 2


def panels(edges: Float[Array, " edges"]) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Nodes and weights of the rule between neighbouring edges; the weights are 0 where edges descend."""
    nodes, weights = (jnp.asarray(array, edges.dtype)[None] for array in _rule())
    widths = jnp.diff(edges)[:, None]
    widths = jnp.where(widths < 0, 0, widths)
    return (edges[:-1, None] + widths * nodes).ravel(), (widths * weights).ravel()


def log_integral(log_values: Float[Array, " nodes"], weights: Float[Array, " nodes"]) -> Float[Array, ""]:
    """`log(sum(weights * exp(log_values)))`, differentiable in weights of 0; `-inf` with gradient 0 if all are 0."""
    # Computed once: a second time, in another fusion, they may round otherwise, and at 1e14 by more than exp can bear.
    log_values = jax.lax.optimization_barrier(log_values)
    top = jax.lax.stop_gradient(jnp.max(log_values))
    total = jnp.sum(weights * jnp.exp(log_values - top))
    nothing = total == 0
    return jnp.where(nothing, -jnp.inf, top + jnp.log(jnp.where(nothing, 1, total)))
