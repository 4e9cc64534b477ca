"""Parameters of a stack, one layer at a time."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import PyTree

from pushforward.bijections import Stack


def over_layers(
    function: Callable[..., Any], *trees: PyTree, is_leaf: Callable[[Any], bool] = lambda _: False
) -> PyTree:
    """`function(path, *leaves)` of every leaf, where each layer of a `Stack` has leaves of its own.

    A matrix of a stack is stored with an axis of layers in front; here it has the rank that one layer gives it.

    Args:
        function: its path is that from the innermost stack on.
        trees: of one structure.
        is_leaf: what is not to be entered, as in `jax.tree.map`.
    """

    def each(path: tuple[Any, ...], node: Any, *others: Any) -> Any:
        if not isinstance(node, Stack):
            return function(path, node, *others)

        def layer(*layers: PyTree) -> PyTree:
            return over_layers(function, *layers, is_leaf=is_leaf)

        layers = [stack.layers for stack in (node, *others)]
        return Stack(eqx.filter_vmap(layer, axis_size=node.length)(*layers), node.length)

    return jax.tree.map_with_path(each, *trees, is_leaf=lambda node: isinstance(node, Stack) or is_leaf(node))
