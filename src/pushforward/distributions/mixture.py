"""Mixtures."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from pushforward.distributions.base import Distribution, over_batch


class NormalMixture(Distribution):
    """A mixture of Normals with independent dimensions; weights, locations and scales are trained.

    Sampling is not differentiable in the weights.

    Attributes:
        logits: unnormalised log weights, shape `(C,)`.
        loc: shape `(C, D)`.
        log_scale: shape `(C, D)`.
    """

    logits: Float[Array, "... C"]
    loc: Float[Array, "... C D"]
    log_scale: Float[Array, "... C D"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        key_component, key_noise = jax.random.split(key)
        component = jax.random.categorical(key_component, self.logits, shape=shape)
        noise = jax.random.normal(key_noise, (*shape, *self.shape), self.loc.dtype)
        return self.loc[component] + jnp.exp(self.log_scale[component]) * noise

    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        log_weights = jax.nn.log_softmax(self.logits)

        def log_prob(x: Array) -> Array:
            noise = (x[None] - self.loc) * jnp.exp(-self.log_scale)
            components = -0.5 * jnp.sum(noise**2, axis=-1) - jnp.sum(self.log_scale, axis=-1)
            return jax.nn.logsumexp(log_weights + components) - 0.5 * x.size * math.log(2 * math.pi)

        return over_batch(log_prob, self.batch_shape(x), x)
