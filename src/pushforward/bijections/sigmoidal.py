"""Deep sigmoidal maps: Huang et al., 2018, "Neural Autoregressive Flows"."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from pushforward.bijections.base import Bijection, Volume, WithLogDet
from pushforward.bijections.spline import LEAST_SLOPE, SLOPE_SHIFT


class DeepSigmoidal(Bijection):
    """`f(x) = logit(sum_j w_j sigmoid(a_j x + b_j))` elementwise, `w` a softmax and `a` positive: any monotone map.

    Huang et al., section 3.1, the whole of it in logs. The inverse is a scalar root-find between the inverses of the
    single sigmoids, which bracket it. With every parameter 0 it is the identity.

    Attributes:
        logits: of the weights `w`, shape `(D, J)`.
        raw_slopes: of `a`, before softplus, shape `(D, J)`; no slope is smaller than 1/1000.
        offsets: `b`, shape `(D, J)`.
    """

    logits: Float[Array, "*batch D J"]
    raw_slopes: Float[Array, "*batch D J"]
    offsets: Float[Array, "*batch D J"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.logits.shape[-2:-1]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    @property
    def increasing(self) -> bool:
        return True

    def _slopes(self) -> Float[Array, "D J"]:
        return LEAST_SLOPE + jax.nn.softplus(self.raw_slopes + SLOPE_SHIFT)

    def _value_and_log_slope(self, x: Float[Array, " D"]) -> tuple[Float[Array, " D"], Float[Array, " D"]]:
        log_weights = jax.nn.log_softmax(self.logits, axis=-1)
        slopes = self._slopes()
        inner = slopes * x[:, None] + self.offsets
        log_below, log_above = jax.nn.log_sigmoid(inner), jax.nn.log_sigmoid(-inner)
        below = jax.nn.logsumexp(log_weights + log_below, axis=-1)
        above = jax.nn.logsumexp(log_weights + log_above, axis=-1)
        slope = jax.nn.logsumexp(log_weights + jnp.log(slopes) + log_below + log_above, axis=-1)
        return below - above, slope - below - above

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        y, log_slope = self._value_and_log_slope(x)
        return y, jnp.sum(log_slope)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        infinite, given = jnp.isinf(y), y
        y = jnp.where(infinite, 0, y)
        # The least slope whose square fits into the floats stands for all of a plateau.
        least = jnp.finfo(y.dtype).tiny ** 0.5

        def tangent(jacobian: Callable[[Array], Array], right: Array) -> Array:
            return right / jnp.maximum(jacobian(jnp.ones_like(right)), least)

        x = lax.custom_root(
            lambda x: self._value_and_log_slope(x)[0] - y, y, lambda _, start: self._bisect(start), tangent
        )
        return jnp.where(infinite, given, x), -jnp.sum(self._value_and_log_slope(x)[1])

    def _bisect(self, y: Float[Array, " D"]) -> Float[Array, " D"]:
        each = (y[:, None] - self.offsets) / self._slopes()

        def halve(_: Int[Array, ""], bracket: tuple[Array, Array]) -> tuple[Array, Array]:
            low, high = bracket
            middle = low + (high - low) / 2
            over = self._value_and_log_slope(middle)[0] > y
            return jnp.where(over, low, middle), jnp.where(over, middle, high)

        halvings = jnp.finfo(y.dtype).nmant + 8
        low, high = lax.fori_loop(0, halvings, halve, (jnp.min(each, axis=-1), jnp.max(each, axis=-1)))
        return low + (high - low) / 2
