"""Distributions of discrete data with independent dimensions; `log_prob` is the log of a mass, in nats.

Samples are floating-point numbers: 0 or 1, or levels 0 ... L-1; everything else has no mass. No gradient flows through
them.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.boxes import Box
from pushforward.distributions.base import Distribution, over_batch
from pushforward.types import PRNGKeyArray


class Bernoulli(Distribution):
    """Independent coins.

    Attributes:
        logits: log odds of 1, shape `(D,)`.
    """

    logits: Float[Array, " D"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.logits.shape

    @property
    def support(self) -> Box:
        return Box.between(0, 1, self.shape, integers=True)

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        probabilities = jnp.broadcast_to(jax.nn.sigmoid(self.logits), (*shape, *self.shape))
        return jax.random.bernoulli(key, probabilities).astype(self.logits.dtype)

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        def log_prob(x: Array) -> Array:
            log_masses = -jax.nn.softplus(jnp.where(x == 1, -self.logits, self.logits))
            return _supported(log_masses, (x == 0) | (x == 1))

        return over_batch(log_prob, self.batch_shape(x), x)


class Categorical(Distribution):
    """Independent levels 0 ... L-1, each with a probability of its own.

    Attributes:
        logits: up to a constant, the log-probabilities of the levels, shape `(D, L)`.
    """

    logits: Float[Array, "D L"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.logits.shape[:-1]

    @property
    def support(self) -> Box:
        return Box.between(0, self.logits.shape[-1] - 1, self.shape, integers=True)

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        drawn = jax.random.categorical(key, self.logits, shape=(*shape, *self.shape))
        return drawn.astype(self.logits.dtype)

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        log_masses = jax.nn.log_softmax(self.logits)

        def log_prob(x: Array) -> Array:
            masses = jnp.take_along_axis(log_masses, x.astype(int)[:, None], axis=-1, mode="clip")[:, 0]
            return _supported(masses, _is_level(x, log_masses.shape[-1]))

        return over_batch(log_prob, self.batch_shape(x), x)


class DiscretizedLogistic(Distribution):
    """Levels 0 ... L-1, each with the mass of a logistic law on its bin of [0, 1]; the outer bins reach to infinity.

    Kingma et al., 2016, "Improving variational inference with inverse autoregressive flow", section 5.2; Salimans et
    al., 2017, "PixelCNN++", section 2.1.

    Attributes:
        loc: shape `(D,)`, in units of the whole range of levels.
        log_scale: shape `(D,)`.
        levels: L, at least 2.

    Raises:
        ValueError: the shapes disagree, or there are fewer levels.
    """

    loc: Float[Array, " D"]
    log_scale: Float[Array, " D"]
    levels: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.levels < 2:
            raise ValueError(f"there must be 2 levels at least, got {self.levels}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape

    @property
    def support(self) -> Box:
        return Box.between(0, self.levels - 1, self.shape, integers=True)

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        noise = jax.random.logistic(key, (*shape, *self.shape), self.loc.dtype)

        def level(noise: Array) -> Array:
            point = self.loc + jnp.exp(self.log_scale) * noise
            return jnp.clip(jnp.floor(point * self.levels), 0, self.levels - 1)

        return over_batch(level, shape, noise)

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        inverse_scale = jnp.exp(-self.log_scale)
        width = inverse_scale / self.levels
        # log(sigmoid(b) - sigmoid(a)) = log sigmoid(b) + log sigmoid(-a) + log(1 - exp(a - b)) has no cancellation.
        log_inner = jnp.log(-jnp.expm1(-width))

        def log_prob(x: Array) -> Array:
            low = (x / self.levels - self.loc) * inverse_scale
            below_high, above_low = jax.nn.log_sigmoid(low + width), jax.nn.log_sigmoid(-low)
            lowest, highest = x == 0, x == self.levels - 1
            masses = (
                jnp.where(lowest, 0, above_low)
                + jnp.where(highest, 0, below_high)
                + jnp.where(lowest | highest, 0, log_inner)
            )
            return _supported(masses, _is_level(x, self.levels))

        return over_batch(log_prob, self.batch_shape(x), x)


def _is_level(x: Array, levels: int) -> Array:
    return (x == jnp.round(x)) & (x >= 0) & (x < levels)


def _supported(log_masses: Float[Array, " D"], supported: Array) -> Float[Array, ""]:
    return jnp.where(jnp.all(supported), jnp.sum(jnp.where(supported, log_masses, 0)), -jnp.inf)
