"""Inputs of a masked network chosen one after another, each by what the network emits for it from those before."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from pushforward.nets import MaskedMLP

LONGEST_ALONE, LONGEST_BLOCK = 8, 4  # what is unrolled compiles slowly

Order = Int[np.ndarray, "blocks _"]


def ancestral(
    network: MaskedMLP,
    choose: Callable[[Float[Array, " size"], Any], Float[Array, ""]],
    given: Any,
    features: Callable[[Array], Array],
) -> Float[Array, " D"]:
    """The inputs `x_1 ... x_D`, each chosen by the row that the network emits for it.

    A unit never changes once the inputs that it sees are there, and is computed then, so that all of it takes the work
    of a pass or two, where D passes are common. Many inputs go in blocks, where what units of earlier blocks say is one
    matrix product.

    Args:
        network: of the inputs.
        choose: from a row, `(size,)`, and a part of `given` to an input.
        given: arrays with a leading axis of length D.
        features: what the first layer takes of the inputs.
    """
    dim = len(set(network.degrees[-1]))
    blocks = 1 if dim <= LONGEST_ALONE else -(-dim // LONGEST_BLOCK)
    length = -(-dim // blocks)
    orders, ends = zip(*(_by_degree(np.asarray(degrees), blocks, length) for degrees in network.degrees[1:]))

    def block(carry: tuple[Array, list[Array]], each: tuple[Any, ...]) -> tuple[tuple[Array, list[Array]], None]:
        (x, before), (index, part, biases, inner, outer) = carry, each
        known = [biases[0]]
        for bias, units, weight in zip(biases[1:], before, outer):
            known.append(bias if blocks == 1 else bias + units.ravel() @ weight)
        found: list[list[Array]] = [[] for _ in before]
        for place in range(length):
            seen = features(x[:dim])
            for layer, weight in enumerate(inner):
                here = slice(*ends[layer][place : place + 2])
                emitted = known[layer][here] + seen @ weight[: len(seen), here]
                if layer < len(found):
                    found[layer].append(network.activation(emitted))
                    seen = jnp.concatenate(found[layer])
            chosen = choose(emitted, jax.tree.map(lambda leaf, place=place: leaf[place], part))
            x = x.at[index * length + place].set(chosen)
        return (x, [units.at[index].set(jnp.concatenate(new)) for units, new in zip(before, found)]), None

    dtype = network.biases[-1].dtype
    start = jnp.zeros(blocks * length, dtype), [jnp.zeros(order.shape, dtype) for order in orders[:-1]]
    parts = jax.tree.map(lambda leaf: leaf[_places(dim, blocks, length)], given)
    each = (np.arange(blocks), parts, *_arranged(network, orders))
    if blocks == 1:  # what does not depend on the sample is then not computed for each
        (x, _), _ = block(start, jax.tree.map(lambda leaf: leaf[0], each))
    else:
        (x, _), _ = lax.scan(block, start, each)
    return x[:dim]


def _places(dim: int, blocks: int, length: int) -> Int[np.ndarray, "blocks length"]:
    """The inputs of each block; the last one is repeated where its block is not full."""
    return np.minimum(np.arange(blocks * length), dim - 1).reshape(blocks, length)


def _by_degree(degrees: Int[np.ndarray, " _"], blocks: int, length: int) -> tuple[Order, list[int]]:
    """Units of each block in the order of their degrees, -1 where one is idle, and where those of each degree end."""
    groups = [[np.flatnonzero(degrees == block * length + place) for block in range(blocks)] for place in range(length)]
    sizes = [max(map(len, alike)) for alike in groups]
    padded = [
        np.stack([np.pad(group, (0, size - len(group)), constant_values=-1) for group in alike])
        for alike, size in zip(groups, sizes)
    ]
    return np.concatenate(padded, axis=1), [0, *np.cumsum(sizes).tolist()]


def _arranged(network: MaskedMLP, orders: tuple[Order, ...]) -> tuple[list[Array], list[Array], list[Array]]:
    """Of each block: the biases of each layer, its weights from units of the block, and those from units of all blocks.

    The first layer sees inputs, and has one matrix. What idle units say is not heard.
    """
    biases = [bias[order] for bias, order in zip(network.biases, orders)]
    inner: list[Array] = [network.weights[0][orders[0]].swapaxes(1, 2)]
    outer: list[Array] = []
    for weight, before, order in zip(network.weights[1:], orders, orders[1:]):
        for weights, seen in (inner, before), (outer, before.reshape(1, -1)):
            weights.append(jnp.where(seen[:, :, None] < 0, 0, weight[order[:, None], seen[:, :, None]]))
    return biases, inner, outer
