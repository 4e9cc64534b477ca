"""Location-scale families with independent dimensions."""

from abc import abstractmethod
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.distributions.base import Distribution, over_batch
from pushforward.types import PRNGKeyArray

Family = TypeVar("Family", bound="LocationScale")


class LocationScale(Distribution):
    """The law of `loc + exp(log_scale) * noise`, whose noise has independent dimensions; trained or held fixed.

    A family says what its noise is, and adds the parameters of that noise as keyword-only fields of shape `(D,)`.
    Samples are differentiable in every parameter.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
        trained: False stops every gradient to the parameters.

    Raises:
        ValueError: the parameters have different shapes.
    """

    loc: Float[Array, "*batch D"]
    log_scale: Float[Array, "*batch D"]
    trained: bool = eqx.field(static=True, default=True)

    @classmethod
    def standard(cls: type[Family], dim: int, trained: bool = False) -> Family:
        """Location 0 and scale 1 in `dim` dimensions.

        Args:
            dim: dimensions D.
            trained: whether location and scale are parameters that training changes.
        """
        return cls(jnp.zeros(dim), jnp.zeros(dim), trained)

    @abstractmethod
    def _noise(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        """Independent noise of shape `(..., D)`, in the dtype of `loc`."""

    @abstractmethod
    def _noise_log_density(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        """Log-density of the noise in each dimension."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    def marginal_log_probs(self, x: Float[Array, " D"]) -> Float[Array, " D"]:
        """Log-density of each dimension of one sample, `(D,)` -> `(D,)`."""
        family = self._held()
        return family._noise_log_density((x - family.loc) * jnp.exp(-family.log_scale)) - family.log_scale

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        return self._sample_and_log_prob(key, shape)[0]

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return over_batch(lambda x: jnp.sum(self.marginal_log_probs(x)), self.batch_shape(x), x)

    def _sample_and_log_prob(
        self, key: PRNGKeyArray, shape: tuple[int, ...]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        family = self._held()

        def push(noise: Array) -> tuple[Array, Array]:
            log_prob = jnp.sum(family._noise_log_density(noise) - family.log_scale)
            return family.loc + jnp.exp(family.log_scale) * noise, log_prob

        return over_batch(push, shape, family._noise(key, (*shape, *self.shape)))

    def _held(self: Family) -> Family:
        return self if self.trained else jax.lax.stop_gradient(self)
