"""Unnormalised densities: what a flow is fitted to."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
from jaxtyping import Array, Float, PRNGKeyArray

from pushforward.quadrature import Box


@dataclass(frozen=True)
class Target:
    """A density known up to its normaliser.

    Attributes:
        name: what it is called in results.
        dim: dimensions D.
        log_density: unnormalised log density of one point, `(D,)` -> `()`, in nats; finite on all of R^D.
        log_z: log of the integral of `exp(log_density)`, or None where it is not known.
        box: in 2-D, `(low, high)` of each dimension around all but a negligible part of the mass; for plots and grids.
        sample: exact samples, `(key, n)` -> `(n, D)`, where there is a way to draw them.
    """

    name: str
    dim: int
    log_density: Callable[[Float[Array, " D"]], Float[Array, ""]]
    log_z: float | None = None
    box: Box | None = None
    sample: Callable[[PRNGKeyArray, int], Float[Array, "n D"]] | None = None

    def log_densities(self, x: Float[Array, "... D"]) -> Float[Array, "..."]:
        """Unnormalised log density of a batch, `(*batch, D)` -> `batch`."""
        flat = jax.vmap(self.log_density)(x.reshape(-1, self.dim))
        return flat.reshape(x.shape[:-1])
