"""Normal distributions with independent dimensions."""

import math

import jax
from jaxtyping import Array, Float

from pushforward.distributions.location_scale import LocationScale
from pushforward.types import PRNGKeyArray


class Normal(LocationScale):
    """N(loc, diag(exp(log_scale))^2), with location and scale either trained or held fixed.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
        trained: False stops every gradient to `loc` and `log_scale`.
    """

    def _noise(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        return jax.random.normal(key, shape, self.loc.dtype)

    def _noise_log_density(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        return -0.5 * noise**2 - 0.5 * math.log(2 * math.pi)
