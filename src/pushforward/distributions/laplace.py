"""Laplace distributions with independent dimensions."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.distributions.location_scale import LocationScale
from pushforward.types import PRNGKeyArray


class Laplace(LocationScale):
    """Density `exp(-|z|) / 2` of `z = (x - loc) / exp(log_scale)` in each dimension; its gradient at the kink is 0.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
        trained: False stops every gradient to `loc` and `log_scale`.
    """

    def _noise(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        return jax.random.laplace(key, shape, self.loc.dtype)

    def _noise_log_density(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        return -noise * jnp.sign(noise) - math.log(2)
