"""Elementwise maps without parameters, whose outputs have a range of their own.

Outside the range, ends included, there is no density: the log-determinant of the inverse is -inf there.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Scalar, Volume


class Elementwise(Bijection):
    """A map of each number by itself.

    Attributes:
        event_shape: the shape of one sample.
    """

    event_shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.event_shape

    @property
    def volume(self) -> Volume:
        return Volume.VARYING


class Sigmoid(Elementwise):
    """`f(x) = 1 / (1 + exp(-x))`, onto (0, 1); its inverse is the logit."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return jax.nn.sigmoid(x), -jnp.sum(jax.nn.softplus(x) + jax.nn.softplus(-x))

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        def inverse(y: Array) -> tuple[Array, Array]:
            log_y, log_rest = jnp.log(y), jnp.log1p(-y)
            return log_y - log_rest, -log_y - log_rest

        return _within(y, 0, 1, inverse)


class Tanh(Elementwise):
    """`f(x) = tanh(x)`, onto (-1, 1)."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return jnp.tanh(x), jnp.sum(2 * math.log(2) - jax.nn.softplus(2 * x) - jax.nn.softplus(-2 * x))

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return _within(y, -1, 1, lambda y: (jnp.arctanh(y), -jnp.log1p(y) - jnp.log1p(-y)))


class Softplus(Elementwise):
    """`f(x) = log(1 + exp(x))`, onto (0, inf), close to `x` where that is large."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return jax.nn.softplus(x), -jnp.sum(jax.nn.softplus(-x))

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        def inverse(y: Array) -> tuple[Array, Array]:
            log_slope = jnp.log(-jnp.expm1(-y))
            return y + log_slope, -log_slope

        return _within(y, 0, math.inf, inverse)


class Exp(Elementwise):
    """`f(x) = exp(x)`, onto (0, inf)."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return jnp.exp(x), jnp.sum(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return _within(y, 0, math.inf, lambda y: (jnp.log(y), -jnp.log(y)))


class PartialExp(Bijection):
    """`exp` of some numbers of a vector, the others as they are: their logarithms are what comes before.

    Attributes:
        which: whether each number is exponentiated.
    """

    which: tuple[bool, ...] = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.which),)

    @property
    def volume(self) -> Volume:
        return Volume.VARYING if any(self.which) else Volume.PRESERVING

    def _forward_and_log_det(self, x: Float[Array, " D"]) -> tuple[Float[Array, " D"], Scalar]:
        which = np.array(self.which)
        logs = jnp.where(which, x, 0)
        return jnp.where(which, jnp.exp(logs), x), jnp.sum(logs)

    def _inverse_and_log_det(self, y: Float[Array, " D"]) -> tuple[Float[Array, " D"], Scalar]:
        which = np.array(self.which)
        logs, log_det = Exp(self.shape).inverse_and_log_det(jnp.where(which, y, 1))
        return jnp.where(which, logs, y), log_det


class LeakyReLU(Elementwise):
    """`f(x) = x` where `x` is positive and `slope x` elsewhere.

    Attributes:
        slope: positive.

    Raises:
        ValueError: it is not.
    """

    slope: float = eqx.field(static=True, default=0.1)

    def __check_init__(self) -> None:
        if not self.slope > 0:
            raise ValueError(f"slope must be positive, got {self.slope}")

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return jnp.where(x > 0, x, self.slope * x), self._log_det(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return jnp.where(y > 0, y, y / self.slope), -self._log_det(y)

    def _log_det(self, x: Float[Array, "..."]) -> Scalar:
        return math.log(self.slope) * jnp.sum(x <= 0, dtype=x.dtype)


def _within(
    y: Float[Array, "..."], low: float, high: float, inverse: Callable[[Array], tuple[Array, Array]]
) -> tuple[Float[Array, "..."], Scalar]:
    """`inverse`, with its log slopes, where `y` lies between the ends; infinite inputs without density elsewhere."""
    inside, unknown = (y > low) & (y < high), jnp.isnan(y)
    x, log_slope = inverse(jnp.where(inside, y, 0.5))
    outside = jnp.where(unknown, jnp.nan, jnp.where(y <= low, -jnp.inf, jnp.inf))
    without = jnp.where(unknown, jnp.nan, -jnp.inf)
    return jnp.where(inside, x, outside), jnp.sum(jnp.where(inside, log_slope, without))
