"""Normal distributions with independent dimensions."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pushforward.distributions.base import Distribution, over_batch


class Normal(Distribution):
    """N(loc, diag(exp(log_scale))^2), with location and scale either trained or held fixed.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
        trained: False stops every gradient to `loc` and `log_scale`.
    """

    loc: Float[Array, "... D"]
    log_scale: Float[Array, "... D"]
    trained: bool = eqx.field(static=True, default=True)

    @staticmethod
    def standard(dim: int, trained: bool = False) -> "Normal":
        """N(0, I) in `dim` dimensions."""
        return Normal(jnp.zeros(dim), jnp.zeros(dim), trained)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    def _parameters(self) -> tuple[Array, Array]:
        parameters = self.loc, self.log_scale
        return parameters if self.trained else jax.lax.stop_gradient(parameters)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        return self.sample_and_log_prob(key, shape)[0]

    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        loc, log_scale = self._parameters()

        def log_prob(x: Array) -> Array:
            return _log_prob((x - loc) * jnp.exp(-log_scale), log_scale)

        return over_batch(log_prob, self.batch_shape(x), x)

    def sample_and_log_prob(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        loc, log_scale = self._parameters()

        def push(noise: Array) -> tuple[Array, Array]:
            return loc + jnp.exp(log_scale) * noise, _log_prob(noise, log_scale)

        return over_batch(push, shape, jax.random.normal(key, (*shape, *self.shape), loc.dtype))


def _log_prob(noise: Array, log_scale: Array) -> Array:
    return -0.5 * jnp.sum(noise**2) - jnp.sum(log_scale) - 0.5 * noise.size * math.log(2 * math.pi)
