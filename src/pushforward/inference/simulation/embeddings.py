"""Networks that make a few numbers of a set or a time series, before a flow sees them."""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.distributions import Pushforward
from pushforward.errors import UserError
from pushforward.nets import MLP
from pushforward.types import PRNGKeyArray

Embedding = Literal["none", "set", "series"]

KERNEL, STRIDE = 5, 2


class SetNetwork(eqx.Module):
    """Numbers of a set, whatever the order of its members: a network of each, their mean, a network of that.

    Zaheer et al., 2017, "Deep sets".

    Attributes:
        each: of one member.
        after: of the mean.
    """

    each: MLP
    after: MLP

    def __call__(self, x: Float[Array, "members features"]) -> Float[Array, " size"]:
        return self.after(jax.nn.silu(jnp.mean(jax.vmap(self.each)(x), axis=0)))


class SeriesNetwork(eqx.Module):
    """Numbers of a time series: convolutions along it, each of which halves its length, and a network of their end.

    Attributes:
        weights: of each layer, `(kernel, channels in, channels out)`.
        biases: of each layer, `(channels out,)`.
        after: of the last layer's mean and largest number of each channel.
    """

    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]
    after: MLP

    def __call__(self, x: Float[Array, "times features"]) -> Float[Array, " size"]:
        for weight, bias in zip(self.weights, self.biases):
            (convolved,) = jax.lax.conv_general_dilated(
                x[None], weight, (STRIDE,), "SAME", dimension_numbers=("NWC", "WIO", "NWC")
            )
            x = jax.nn.silu(convolved + bias)
        return self.after(jnp.concatenate([x.mean(axis=0), x.max(axis=0)]))


class Embedded(eqx.Module):
    """A conditional flow that sees what a network makes of its context.

    Attributes:
        network: of the context, in its own shape.
        flow: from what the network makes of it.
        shape: of the context.
    """

    network: Callable[[Array], Array]
    flow: Callable[[Array], Pushforward]
    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, context: Float[Array, " context"]) -> Pushforward:
        """The flow for one context, flattened."""
        return self.flow(self.network(context.reshape(self.shape)))


def network(
    kind: Embedding, shape: tuple[int, ...], key: PRNGKeyArray, size: int, width: int
) -> Callable[[Array], Array]:
    """The network of a kind of data.

    Args:
        kind: `"set"` or `"series"`.
        shape: of the data: `(members, features)` or `(times, features)`.
        key: for the random start.
        size: numbers that it makes.
        width: hidden units, or channels.

    Raises:
        UserError: the data have another number of axes.
    """
    if len(shape) != 2:
        raise UserError(f"a {kind} has two axes, of members or times and of features; the data have the shape {shape}")
    length, features = shape
    keys = jax.random.split(key, 3 + length.bit_length())
    if kind == "set":
        each = MLP.init(keys[0], features, width, width, 2, jax.nn.silu, zero=False)
        return SetNetwork(each, MLP.init(keys[1], width, size, width, 1, jax.nn.silu, zero=False))
    weights: list[Array] = []
    channels = features
    while not weights or length > KERNEL:
        shape = (KERNEL, channels, width)
        weights.append(jax.random.normal(keys[2 + len(weights)], shape) / jnp.sqrt(KERNEL * channels))
        channels, length = width, -(-length // STRIDE)
    after = MLP.init(keys[1], 2 * channels, size, width, 1, jax.nn.silu, zero=False)
    return SeriesNetwork(tuple(weights), tuple(jnp.zeros(width) for _ in weights), after)
