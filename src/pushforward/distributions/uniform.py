"""Uniform distributions."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.border import concrete
from pushforward.boxes import Box
from pushforward.distributions.base import Distribution, over_batch
from pushforward.types import PRNGKeyArray


class Uniform(Distribution):
    """The uniform distribution on the box `low <= x <= high`; outside it the log-density is `-inf`.

    Attributes:
        low: shape `(D,)`; held fixed.
        high: shape `(D,)`; held fixed.

    Raises:
        ValueError: the two have different shapes, or `low` is not below `high`.
    """

    low: Float[Array, "*batch D"]
    high: Float[Array, "*batch D"]

    def __check_init__(self) -> None:
        if concrete(self.low, self.high) and not np.all(np.asarray(self.low) < np.asarray(self.high)):
            raise ValueError(f"low must be below high, got {self.low} and {self.high}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.low.shape[-1:]

    @property
    def support(self) -> Box:
        return Box(*self._box())

    def _box(self) -> tuple[Array, Array]:
        return jax.lax.stop_gradient((self.low, self.high))

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        low, high = self._box()
        noise = jax.random.uniform(key, (*shape, *self.shape), low.dtype)

        def stretch(noise: Array) -> Array:
            return low + (high - low) * noise

        return over_batch(stretch, shape, noise)

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        low, high = self._box()

        def log_prob(x: Array) -> Array:
            inside = jnp.all((x >= low) & (x <= high))
            return jnp.where(inside, -jnp.sum(jnp.log(high - low)), -jnp.inf)

        return over_batch(log_prob, self.batch_shape(x), x)
