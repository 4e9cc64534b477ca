"""Densities on an interval that rise from one level to another by a smooth step."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.border import concrete
from pushforward.boxes import Box
from pushforward.distributions.base import Distribution, over_batch
from pushforward.types import PRNGKeyArray


class SmoothStep(Distribution):
    """Density proportional to `offset + range * S(growth x)` on `start <= x <= end`, `S(y) = y^2 (3 - 2 y)` on [0, 1].

    S is the cubic Hermite step: 0 below 0, 1 above 1. The density is flat at a low level up to x = 0, rises until
    `x = 1 / growth` and stays flat at a high level; outside the interval the log-density is `-inf`. Its log takes two
    values with positive probability.

    `standard` is start -5, end 5, offset 1, range 10, growth 1/2, with normaliser 50: the density is 1/50 on [-5, 0], a
    mass of 0.10, and 11/50 on [2, 5], a mass of 0.66; the rise in between holds 0.24, and `Var(log p)` is 0.567.

    Attributes:
        start: shape `(D,)`; held fixed, as are the others.
        end: shape `(D,)`.
        offset: shape `(D,)`, positive.
        range: shape `(D,)`, positive.
        growth: shape `(D,)`, positive.

    Raises:
        ValueError: they have different shapes, or are out of range.
    """

    start: Float[Array, "*batch D"]
    end: Float[Array, "*batch D"]
    offset: Float[Array, "*batch D"]
    range: Float[Array, "*batch D"]
    growth: Float[Array, "*batch D"]

    def __check_init__(self) -> None:
        positive = self.end, self.offset, self.range, self.growth
        if concrete(self.start, *positive):
            least = np.asarray(self.start), 0, 0, 0
            if not all(np.all(np.asarray(value) > low) for value, low in zip(positive, least)):
                raise ValueError("end must be above start, and offset, range and growth must be positive")

    @staticmethod
    def standard(dim: int) -> "SmoothStep":
        """The setting of the density-of-states experiments in each of `dim` dimensions."""
        return SmoothStep(*(jnp.full(dim, value) for value in (-5.0, 5.0, 1.0, 10.0, 0.5)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.start.shape[-1:]

    @property
    def support(self) -> Box:
        return Box(self.start, self.end)

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        law = jax.lax.stop_gradient(self)
        dtype = law.start.dtype
        uniform = jax.random.uniform(key, (*shape, *self.shape), dtype)

        def invert(uniform: Array) -> Array:
            mass = uniform * law._mass_below(law.end)

            def bisect(_: Array, bracket: tuple[Array, Array]) -> tuple[Array, Array]:
                low, high = bracket
                middle = (low + high) / 2
                below = law._mass_below(middle) < mass
                return jnp.where(below, middle, low), jnp.where(below, high, middle)

            return sum(jax.lax.fori_loop(0, jnp.finfo(dtype).nmant + 1, bisect, (law.start, law.end))) / 2

        return over_batch(invert, shape, uniform)

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        law = jax.lax.stop_gradient(self)
        log_mass = jnp.sum(jnp.log(law._mass_below(law.end)))

        def log_prob(x: Array) -> Array:
            y = jnp.clip(law.growth * x, 0, 1)
            inside = jnp.all((x >= law.start) & (x <= law.end))
            return jnp.where(inside, jnp.sum(jnp.log(law.offset + law.range * y**2 * (3 - 2 * y))) - log_mass, -jnp.inf)

        return over_batch(log_prob, self.batch_shape(x), x)

    def _mass_below(self, x: Float[Array, " D"]) -> Float[Array, " D"]:
        """The unnormalised mass between `start` and `x`."""

        def integrated_step(x: Array) -> Array:
            y = self.growth * x
            rising = jnp.clip(y, 0, 1)
            return (rising**3 * (1 - rising / 2) + jnp.maximum(y - 1, 0)) / self.growth

        return self.offset * (x - self.start) + self.range * (integrated_step(x) - integrated_step(self.start))
