"""Mixtures of families, dimension by dimension."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.distributions.base import Distribution, over_batch
from pushforward.distributions.laplace import Laplace
from pushforward.distributions.location_scale import LocationScale
from pushforward.distributions.logistic import Logistic
from pushforward.distributions.normal import Normal
from pushforward.distributions.student_t import StudentT
from pushforward.types import PRNGKeyArray


class FamilyMixture(Distribution):
    """Independent dimensions, each a mixture of K families with weights, locations and scales of its own.

    As a base it learns the tails of each dimension (Laszkiewicz et al., 2021, "Copula-based normalizing flows").
    Samples are differentiable in the components and not in the weights.

    Attributes:
        logits: unnormalised log weights of the families in each dimension, shape `(K, D)`.
        components: K families over all D dimensions, in the order of the rows of `logits`.

    Raises:
        ValueError: the shapes disagree.
    """

    logits: Float[Array, "*batch K D"]
    components: tuple[LocationScale, ...]

    def __check_init__(self) -> None:
        *leading, count, dim = self.logits.shape
        shapes = [component.loc.shape for component in self.components]
        if shapes != [(*leading, dim)] * count:
            raise ValueError(f"logits have shape {self.logits.shape}, the components {shapes}")

    @staticmethod
    def standard(
        dim: int, families: Sequence[type[LocationScale]] = (Normal, Laplace, Logistic, StudentT)
    ) -> "FamilyMixture":
        """Equal weights of trained families, each as its `standard` is, in `dim` dimensions.

        Args:
            dim: dimensions D.
            families: the components, types of location-scale distributions.
        """
        components = tuple(family.standard(dim, trained=True) for family in families)
        return FamilyMixture(jnp.zeros((len(components), dim)), components)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.logits.shape[-1:]

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        key_which, *keys = jax.random.split(key, 1 + len(self.components))
        which = jax.random.categorical(key_which, self.logits, axis=-2, shape=(*shape, *self.shape))
        samples = [component.sample(key, shape) for component, key in zip(self.components, keys)]

        def select(which: Array, *samples: Array) -> Array:
            return jnp.take_along_axis(jnp.stack(samples), which[None], axis=0)[0]

        return over_batch(select, shape, which, *samples)

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        log_weights = jax.nn.log_softmax(self.logits, axis=-2)

        def log_prob(x: Array) -> Array:
            components = jnp.stack([component.marginal_log_probs(x) for component in self.components])
            return jnp.sum(jax.nn.logsumexp(log_weights + components, axis=0))

        return over_batch(log_prob, self.batch_shape(x), x)
