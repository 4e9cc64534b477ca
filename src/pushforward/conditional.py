"""Conditional flows: functions from a context to a distribution or a bijection."""

from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from pushforward.bijections import Bijection
from pushforward.distributions import Distribution
from pushforward.nets import MADE, MLP, Activation, Contextual, ConvNet, LipschitzMLP, Sequential
from pushforward.types import PRNGKeyArray

__all__ = [
    "Amortized",
    "Conditional",
    "amortize",
    "condition",
    "has_networks",
]


def __dir__() -> list[str]:
    return __all__


D = TypeVar("D", bound=Distribution | Bijection)


class Shared(eqx.Module, Generic[D]):
    """A flow that is the same for every context: the static comparison with an amortised one."""

    flow: D

    def __call__(self, context: Float[Array, " context"]) -> D:
        """The flow."""
        return self.flow


class Amortized(eqx.Module, Generic[D]):
    """Any flow as a function of a context: a network emits all of its parameters.

    Attributes:
        network: from the context to what is added to the parameters.
        flow: the distribution or bijection whose parameters the network shifts.
    """

    network: MLP | Sequential
    flow: D

    def __call__(self, context: Float[Array, " context"]) -> D:
        """The flow for one context; batches of contexts are `jax.vmap`'s work."""
        parameters, rest = eqx.partition(self.flow, eqx.is_inexact_array)
        vector, unravel = ravel_pytree(parameters)
        return eqx.combine(unravel(vector + self.network(context)), rest)


class Conditional(eqx.Module, Generic[D]):
    """A flow whose networks see a context: cheaper than `Amortized`, a matrix product a network.

    Attributes:
        flow: with `Contextual` networks.
    """

    flow: D

    def __call__(self, context: Float[Array, " context"]) -> D:
        """The flow for one context; batches of contexts are `jax.vmap`'s work."""
        return jax.tree.map(
            lambda node: node.given(context) if isinstance(node, Contextual) else node,
            self.flow,
            is_leaf=lambda node: isinstance(node, Contextual),
        )


def amortize(
    flow: D,
    key: PRNGKeyArray,
    context_dim: int,
    *,
    width: int = 64,
    depth: int = 2,
    activation: Activation = jax.nn.relu,
    rank: int | None = None,
) -> Amortized[D]:
    """Make any flow conditional: a network of the context emits every parameter, starting from those of `flow`.

    Rezende & Mohamed, 2015, section 4; the number of outputs is that of all parameters, so that flows without large
    networks of their own are best (planar, radial, Sylvester).

    Args:
        flow: any distribution or bijection; for every context the result starts as it.
        key: for the random start.
        context_dim: numbers in a context.
        width: hidden units of the network.
        depth: hidden layers of the network.
        activation: of the hidden layers.
        rank: of the weights that emit the parameters, then a product of two matrices: of a flow with many parameters it
            takes less time and memory; full unless given.

    Raises:
        ValueError: `rank` is less than 1.

    Example:
        >>> posterior = amortize(flows.planar(key, dim=2, length=8), key, context_dim=10)
        >>> z, log_prob = posterior(context).sample_and_log_prob(key, (100,))
    """
    size = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(flow, eqx.is_inexact_array)))
    if rank is None:
        return Amortized(MLP.init(key, context_dim, size, width, depth, activation), flow)
    if rank < 1:
        raise ValueError(f"rank must be 1 or more, got {rank}")
    key_narrow, key_wide = jax.random.split(key)
    narrow = MLP.init(key_narrow, context_dim, rank, width, depth, activation, zero=False)
    wide = MLP.init(key_wide, rank, size, width, 0, activation)
    return Amortized(Sequential((narrow, wide)), flow)


def condition(flow: D, key: PRNGKeyArray, context_dim: int) -> Conditional[D]:
    """Make a flow of network-driven layers conditional: the first layer of every network sees the context too.

    The base stays as it is.

    Args:
        flow: with coupling, autoregressive, residual or continuous layers.
        key: for the random start.
        context_dim: numbers in a context.

    Raises:
        ValueError: there is no network in `flow`; `amortize` is for those.

    Example:
        >>> likelihood = condition(flows.maf(key, dim=2, length=5), key, context_dim=3)
        >>> jax.vmap(lambda context, x: likelihood(context).log_prob(x))(contexts, xs)
    """
    if not has_networks(flow):
        raise ValueError("there is no network that could see a context; use amortize")
    nodes, structure = jax.tree.flatten(flow, is_leaf=_is_network)
    keys = jax.random.split(key, len(nodes))
    contextual = [_contextual(node, k, context_dim) if _is_network(node) else node for node, k in zip(nodes, keys)]
    return Conditional(jax.tree.unflatten(structure, contextual))


def has_networks(flow: Distribution | Bijection) -> bool:
    """Whether a flow has networks, so that `condition` suits it."""
    return any(map(_is_network, jax.tree.leaves(flow, is_leaf=_is_network)))


def _is_network(node: object) -> bool:
    return isinstance(node, MLP | MADE | ConvNet | LipschitzMLP)


def _contextual(network: MLP | MADE | ConvNet | LipschitzMLP, key: PRNGKeyArray, context_dim: int) -> Contextual[Any]:
    if isinstance(network, MADE):
        network = MADE(network.mlp, network.dim, from_zero=True)
    return Contextual.init(network, key, context_dim)
