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

from pushforward.bijections.base import Bijection, Scalar, Volume, WithLogDet
from pushforward.boxes import Box


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

    @property
    def increasing(self) -> bool:
        return True


class Sigmoid(Elementwise):
    """`f(x) = 1 / (1 + exp(-x))`, onto (0, 1); its inverse is the logit."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return jax.nn.sigmoid(x), -jnp.sum(jax.nn.softplus(x) + jax.nn.softplus(-x))

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        def inverse(y: Array) -> tuple[Array, Array]:
            log_y, log_rest = jnp.log(y), jnp.log1p(-y)
            return log_y - log_rest, -log_y - log_rest

        return _within(y, 0, 1, inverse)


class Tanh(Elementwise):
    """`f(x) = tanh(x)`, onto (-1, 1)."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return jnp.tanh(x), jnp.sum(2 * math.log(2) - jax.nn.softplus(2 * x) - jax.nn.softplus(-2 * x))

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return _within(y, -1, 1, lambda y: (jnp.arctanh(y), -jnp.log1p(y) - jnp.log1p(-y)))


class Softplus(Elementwise):
    """`f(x) = log(1 + exp(x))`, onto (0, inf), close to `x` where that is large."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return jax.nn.softplus(x), -jnp.sum(jax.nn.softplus(-x))

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        def inverse(y: Array) -> tuple[Array, Array]:
            log_slope = jnp.log(-jnp.expm1(-y))
            return y + log_slope, -log_slope

        return _within(y, 0, math.inf, inverse)


class Exp(Elementwise):
    """`f(x) = exp(x)`, onto (0, inf)."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return jnp.exp(x), jnp.sum(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return _within(y, 0, math.inf, lambda y: (jnp.log(y), -jnp.log(y)))


class OfSome(Bijection):
    """A map of some numbers of a vector by themselves, which leaves the others as they are.

    Attributes:
        which: whether each number is moved.
    """

    which: tuple[bool, ...] = eqx.field(static=True)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.which),)

    @property
    def volume(self) -> Volume:
        return Volume.VARYING if any(self.which) else Volume.PRESERVING

    @property
    def increasing(self) -> bool:
        return True


class PartialExp(OfSome):
    """`exp` of some numbers of a vector, the others as they are: their logarithms are what comes before."""

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

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return jnp.where(x > 0, x, self.slope * x), self._log_det(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return jnp.where(y > 0, y, y / self.slope), -self._log_det(y)

    def _log_det(self, x: Float[Array, "..."]) -> Scalar:
        return math.log(self.slope) * jnp.sum(x <= 0, dtype=x.dtype)


class OntoBox(Bijection):
    """From all arrays onto a box: a stretched sigmoid between two ends, `exp` beyond one, nothing without any.

    Every number increases with its own; 0 goes to the middle of two ends, and to 1 from a single one.

    Attributes:
        box: held fixed.
    """

    box: Box

    @property
    def shape(self) -> tuple[int, ...]:
        return self.box.low.shape

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    @property
    def increasing(self) -> bool:
        return True

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        low, high, above, below, log_width = self._ends()
        between = above & below
        log_above = jnp.where(between, log_width - jax.nn.softplus(-x), jnp.where(above, x, 0))
        log_below = jnp.where(between, log_width - jax.nn.softplus(x), jnp.where(below, -x, 0))
        y = jnp.where(above, low + jnp.exp(log_above), jnp.where(below, high - jnp.exp(log_below), x))
        return y, jnp.sum(log_above + log_below - log_width)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        low, high, above, below, log_width = self._ends()

        def inverse(y: Array) -> tuple[Array, Array]:
            log_above, log_below = jnp.log(jnp.where(above, y - low, 1)), jnp.log(jnp.where(below, high - y, 1))
            return jnp.where(above | below, log_above - log_below, y), log_width - log_above - log_below

        middle = self.forward(jnp.zeros(self.shape, y.dtype))
        return _within(y, jax.lax.stop_gradient(self.box.low), jax.lax.stop_gradient(self.box.high), inverse, middle)

    def _ends(self) -> tuple[Array, ...]:
        """Both ends, 0 for none; whether there is a lower and an upper one; the log of the width between two, or 0."""
        low, high = jax.lax.stop_gradient((self.box.low, self.box.high))
        above, below = low > -jnp.inf, high < jnp.inf
        low, high = jnp.where(above, low, 0), jnp.where(below, high, 0)
        return low, high, above, below, jnp.log(jnp.where(above & below, high - low, 1))


def _within(
    y: Float[Array, "..."],
    low: float | Array,
    high: float | Array,
    inverse: Callable[[Array], tuple[Array, Array]],
    middle: float | Array = 0.5,
) -> WithLogDet:
    """`inverse`, with its log slopes, where `y` lies between the ends; infinite inputs without density elsewhere.

    `middle` is any point in between.
    """
    inside, unknown = (y > low) & (y < high), jnp.isnan(y)
    x, log_slope = inverse(jnp.where(inside, y, middle))
    outside = jnp.where(unknown, jnp.nan, jnp.where(y <= low, -jnp.inf, jnp.inf))
    without = jnp.where(unknown, jnp.nan, -jnp.inf)
    return jnp.where(inside, x, outside), jnp.sum(jnp.where(inside, log_slope, without))
