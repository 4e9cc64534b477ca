"""Mixtures."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.boxes import Box
from pushforward.distributions.base import Distribution, over_batch
from pushforward.types import PRNGKeyArray


class Mixture(Distribution):
    """A mixture of distributions of one kind, with trained weights.

    Sampling draws from every component and keeps one; it is differentiable in the components where their own samples
    are, and not in the weights.

    Attributes:
        logits: unnormalised log weights, shape `(C,)`.
        components: C distributions in one, each of whose arrays has a leading axis of length C.

    Raises:
        ValueError: an array of `components` has another leading axis.

    Example:
        >>> mixture = Mixture(jnp.zeros(4), Normal(jnp.zeros((4, 2)), jnp.zeros((4, 2))))
    """

    logits: Float[Array, "*batch C"]
    components: Distribution

    def __check_init__(self) -> None:
        leading = self.logits.shape
        for leaf in jax.tree.leaves(eqx.filter(self.components, eqx.is_array)):
            if leaf.shape[: len(leading)] != leading:
                raise ValueError(f"logits have shape {leading}, an array of components {leaf.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.components.shape

    @property
    def support(self) -> Box:
        return joint_support(self.components)

    def sample_each(self, key: PRNGKeyArray, n: int) -> Float[Array, "..."]:
        """Draws of every component, `(C, n, *event shape)`, differentiable in the components.

        Args:
            key: for the draws.
            n: of each.
        """
        keys = jax.random.split(key, self.logits.shape[-1])
        each: Array = eqx.filter_vmap(lambda component, key: component.sample(key, (n,)))(self.components, keys)
        return each

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        key_which, key_components = jax.random.split(key)
        which = jax.random.categorical(key_which, self.logits, shape=shape)

        keys = jax.random.split(key_components, self.logits.shape[-1])
        sample = eqx.filter_vmap(lambda component, key: component.sample(key, shape), out_axes=len(shape))

        def select(which: Array, samples: Array) -> Array:
            return samples[which]

        return over_batch(select, shape, which, sample(self.components, keys))

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        log_weights = jax.nn.log_softmax(self.logits)

        def log_prob(x: Array) -> Array:
            components: Array = eqx.filter_vmap(lambda component: component.log_prob(x))(self.components)
            return jax.nn.logsumexp(log_weights + components)

        return over_batch(log_prob, self.batch_shape(x), x)


def joint_support(components: Distribution) -> Box:
    """The smallest box that holds the supports of all components.

    Args:
        components: C distributions in one, each of whose arrays has a leading axis of length C.
    """
    boxes = eqx.filter_vmap(lambda component: component.support)(components)
    return Box(jnp.min(boxes.low, axis=0), jnp.max(boxes.high, axis=0), boxes.integers)
