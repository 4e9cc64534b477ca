"""Von Mises distributions of angles."""

import math

import jax
import jax.numpy as jnp
from jax.scipy.special import i0e
from jaxtyping import Array, Bool, Float

from pushforward.boxes import Box
from pushforward.distributions.base import Distribution, over_batch
from pushforward.types import PRNGKeyArray


class VonMises(Distribution):
    """Independent angles with density `exp(kappa cos(x - loc)) / (2 pi I0(kappa))`, `kappa = exp(log_concentration)`.

    The density has period 2 pi in every dimension and integrates to one over one period; samples lie in [-pi, pi).
    They are differentiable in `loc` but not in `log_concentration`, to which their gradient is 0.

    Attributes:
        loc: shape `(D,)`.
        log_concentration: shape `(D,)`.

    Raises:
        ValueError: the two have different shapes.
    """

    loc: Float[Array, "*batch D"]
    log_concentration: Float[Array, "*batch D"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    @property
    def support(self) -> Box:
        """One period, in which the samples lie."""
        return Box.between(-math.pi, math.pi, self.shape)

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        return self._sample_and_log_prob(key, shape)[0]

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return over_batch(lambda x: self._log_density(x - self.loc), self.batch_shape(x), x)

    def _sample_and_log_prob(
        self, key: PRNGKeyArray, shape: tuple[int, ...]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        concentration = jnp.exp(jax.lax.stop_gradient(self.log_concentration))
        offsets = _sample_centred(key, jnp.broadcast_to(concentration, (*shape, *self.shape)))

        def push(offset: Array) -> tuple[Array, Array]:
            return _wrapped(self.loc + offset), self._log_density(offset)

        return over_batch(push, shape, offsets)

    def _log_density(self, offset: Array) -> Array:
        concentration = jnp.exp(self.log_concentration)
        # cos - 1 as a square: it keeps its digits near the mode, where a large concentration puts the mass.
        return jnp.sum(-2 * concentration * jnp.sin(offset / 2) ** 2 - math.log(2 * math.pi) - _log_i0e(concentration))


def _wrapped(angle: Array) -> Array:
    """The angle in [-pi, pi) that is `angle` up to whole turns; one that is in there already is kept bit by bit."""
    wrapped = angle - 2 * jnp.pi * jnp.floor((angle + jnp.pi) / (2 * jnp.pi))
    return jnp.clip(wrapped, -jnp.pi, jnp.nextafter(jnp.asarray(jnp.pi, angle.dtype), 0))


def _log_i0e(x: Array) -> Array:
    """`log(exp(-x) I0(x))` for `x >= 0`.

    From x = 200 on by the asymptotic series of I0 (DLMF 10.40.1), cut where it has reached 1e-14: the derivative of
    the plain formula is there a difference of nearly equal numbers.
    """
    large = x > 200
    outer, inner = jnp.where(large, x, 200), jnp.where(large, 0, x)
    series = jnp.polyval(jnp.array([893025 / 120, 11025 / 24, 225 / 6, 9 / 2, 1, 0], x.dtype), 1 / (8 * outer))
    return jnp.where(large, jnp.log1p(series) - 0.5 * jnp.log(2 * jnp.pi * outer), jnp.log(i0e(inner)))


def _sample_centred(key: PRNGKeyArray, concentration: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """One sample in [-pi, pi] about 0 for each concentration.

    Rejection from the wrapped Cauchy distribution of Best & Fisher, 1979, "Efficient simulation of the von Mises
    distribution", which accepts at least 65% of the proposals. In terms of `q = sin^2(angle / 2)` nothing cancels at
    any concentration: the envelope is `tan(angle / 2)` Cauchy of squared scale `w = 1 / (2 kappa + sqrt(1 + 4
    kappa^2))`, and an angle is accepted with probability `y exp(1 - y)`, `y = 2 kappa q + (1 + w) / 2`.
    """
    shape, dtype = concentration.shape, concentration.dtype
    squared_scale = 1 / (2 * concentration + jnp.hypot(1, 2 * concentration))

    def any_waiting(state: tuple[PRNGKeyArray, Array, Bool[Array, "..."]]) -> Bool[Array, ""]:
        return jnp.any(state[2])

    def propose(
        state: tuple[PRNGKeyArray, Array, Bool[Array, "..."]],
    ) -> tuple[PRNGKeyArray, Array, Bool[Array, "..."]]:
        key, angle, waiting = state
        key, key_angle, key_accept = jax.random.split(key, 3)
        turn = jax.random.uniform(key_angle, shape, dtype, minval=-0.5, maxval=0.5)
        proposal = 2 * jnp.arctan(jnp.sqrt(squared_scale) * jnp.tan(jnp.pi * turn))
        y = 2 * concentration * jnp.sin(proposal / 2) ** 2 + (1 + squared_scale) / 2
        # False for a concentration that is not a number, so that the loop ends.
        rejected = jax.random.exponential(key_accept, shape, dtype) < y - 1 - jnp.log(y)
        return key, jnp.where(waiting, proposal, angle), waiting & rejected

    start = key, jnp.zeros(shape, dtype), jnp.ones(shape, bool)
    return jax.lax.while_loop(any_waiting, propose, start)[1]
