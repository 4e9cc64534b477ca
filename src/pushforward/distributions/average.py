"""Averages of densities."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Key

from pushforward.boxes import Box
from pushforward.distributions.base import Distribution
from pushforward.distributions.mixture import joint_support
from pushforward.types import PRNGKeyArray


class Average(Distribution):
    """The average of the densities of distributions of one kind: what an ensemble says together.

    The draws of a batch come from the components in turn, beginning with one at random. Each has the law of the
    average, at the cost of a draw of one component; together they vary less than independent ones.

    Attributes:
        components: C distributions in one, each of whose arrays has a leading axis of length C.

    Raises:
        ValueError: arrays of `components` have different leading axes.

    Example:
        >>> average = Average(ensemble(lambda key: flows.maf(key, 2, 5), key, 4))
    """

    components: Distribution

    def __check_init__(self) -> None:
        leading = {leaf.shape[:1] for leaf in jax.tree.leaves(eqx.filter(self.components, eqx.is_array))}
        if len(leading) != 1 or leading == {()}:
            raise ValueError(f"arrays of components must have one leading axis of the same length, got {leading}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.components.shape

    @property
    def support(self) -> Box:
        return joint_support(self.components)

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        key_first, key_components = jax.random.split(key)
        count, draws = self._count, math.prod(shape)
        share = -(-draws // count)
        each = self._of_each(
            lambda component, key: component.sample(key, (share,)), jax.random.split(key_components, count)
        )
        in_turn = jnp.roll(each, jax.random.randint(key_first, (), 0, count), axis=0).swapaxes(0, 1)
        return in_turn.reshape(count * share, *self.shape)[:draws].reshape(*shape, *self.shape)

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.logsumexp(self._of_each(lambda component: component.log_prob(x)), axis=0) - math.log(self._count)

    @property
    def _count(self) -> int:
        return len(jax.tree.leaves(eqx.filter(self.components, eqx.is_array))[0])

    def _of_each(self, function: Callable[..., Array], *arguments: Key[Array, " C"]) -> Array:
        """`function` of each component in turn: batches of matrices are slow on a CPU."""
        arrays, static = eqx.partition(self.components, eqx.is_array)
        found: Array = lax.map(lambda each: function(eqx.combine(each[0], static), *each[1:]), (arrays, *arguments))
        return found
