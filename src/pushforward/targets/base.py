"""Unnormalised densities: what a flow is fitted to."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.quadrature import Box
from pushforward.types import PRNGKeyArray

COORDINATES = 6


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

    def complaint(self, x: Float[Array, "n D"]) -> str | None:
        """What is not finite at the first such of the points: the log density, or its gradient; None where all are."""

        def finite(x: Float[Array, " D"]) -> tuple[Array, Array]:
            value, gradient = jax.value_and_grad(self.log_density)(x)
            return value, jnp.all(jnp.isfinite(gradient))

        values, smooth = (np.asarray(array) for array in jax.jit(jax.vmap(finite))(x))
        found = ~(np.isfinite(values) & smooth)
        if not found.any():
            return None
        index = int(np.argmax(found))
        shown = [f"{coordinate:.4g}" for coordinate in np.asarray(x)[index, :COORDINATES]]
        where = ", ".join([*shown, "..."] if self.dim > COORDINATES else shown)
        if np.isfinite(values[index]):
            return f"the gradient of {self.name} is not finite at z = ({where})"
        return f"{self.name} is {values[index]} at z = ({where})"
