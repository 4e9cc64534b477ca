"""Logistic distributions with independent dimensions."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.distributions.location_scale import LocationScale
from pushforward.types import PRNGKeyArray


class Logistic(LocationScale):
    """Density `sigmoid(z) sigmoid(-z)` of `z = (x - loc) / exp(log_scale)` in each dimension.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
        trained: False stops every gradient to `loc` and `log_scale`.
    """

    def _noise(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        # Not `jax.random.logistic`, which turns one float32 in 2^23 into -87, where the density is 1e-38.
        dtype = self.loc.dtype
        u = jax.random.uniform(key, shape, dtype, minval=-1 + jnp.finfo(dtype).epsneg, maxval=1)
        return 2 * jnp.arctanh(u)

    def _noise_log_density(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        return jax.nn.log_sigmoid(noise) + jax.nn.log_sigmoid(-noise)
