"""Random probes of estimated log-determinants."""

from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt32

from pushforward.types import PRNGKeyArray

__all__ = ["Probe", "refreshed"]

T = TypeVar("T")


class Probe(eqx.Module):
    """The key of an estimator that lives inside a bijection; `refreshed` gives every one a new key.

    Attributes:
        data: that of the key, shape `(2,)`; not trained, but saved with the parameters.
    """

    data: UInt32[Array, "... 2"]

    @staticmethod
    def init(key: PRNGKeyArray) -> "Probe":
        """A probe with this key."""
        return Probe(jax.random.key_data(key))

    def key(self, x: Float[Array, "..."]) -> PRNGKeyArray:
        """A key of its own for every point, so that the errors of a batch are independent."""
        bits = jax.lax.bitcast_convert_type(x.astype(jnp.float32).ravel(), jnp.uint32)
        multipliers = jax.random.bits(jax.random.wrap_key_data(self.data), bits.shape, jnp.uint32) | 1
        return jax.random.fold_in(jax.random.wrap_key_data(self.data), jnp.sum(bits * multipliers, dtype=jnp.uint32))


def refreshed(tree: T, key: PRNGKeyArray) -> T:
    """`tree` with new keys in all of its probes; one without probes stays as it is."""
    nodes, structure = jax.tree.flatten(tree, is_leaf=lambda node: isinstance(node, Probe))

    def renew(index: int, node: object) -> object:
        if not isinstance(node, Probe):
            return node
        places = node.data.shape[:-1]
        return Probe(jax.random.key_data(jax.random.split(jax.random.fold_in(key, index), places)))

    return jax.tree.unflatten(structure, [renew(index, node) for index, node in enumerate(nodes)])
