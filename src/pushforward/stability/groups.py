"""Groups of parameters: those that scale, and the rest."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, PyTree

from pushforward.bijections import Coupling, Frozen, MaskedAutoregressive, Transformer
from pushforward.distributions import LocationScale, MultivariateNormal, Uniform
from pushforward.nets import MADE, MLP, Contextual, ConvNet, Convolution, Dense, OnCircle, Sequential
from pushforward.stability.layers import over_layers

LOG_SCALES = ("log_scale", "log_diagonal")


@eqx.filter_jit
def parameter_groups(model: PyTree) -> dict[str, PyTree]:
    """The trained parameters of a flow, divided into `"scale"`, those that set a slope directly, and `"rest"`.

    Scale parameters are

    - the stored log scales of layers and bases: every `log_scale` (`DiagonalAffine`, `ActNorm`, location-scale bases),
      every `log_diagonal` (`LULinear`, `TriangularAffine`), and the diagonal of a `MultivariateNormal`;
    - what is emitted: of the last layer of the network of a coupling or autoregressive layer those rows, biases
      included, whose outputs change the slopes of the elementwise map. They are found by differentiating the
      `Transformer`: none of `Additive`, every second row of the affine ones, all of a spline;
    - the parameters of transformers themselves, such as the trained scale of `Affine`.

    So the hidden layers of a network are rest, and a residual flow has no scale parameters but those of its base.
    Parameters that no gradient reaches (`Frozen`, bases that are not trained, `Uniform`) are in neither group.

    Returns:
        For each group a mask: the structure of `eqx.filter(model, eqx.is_inexact_array)`, with a boolean array of the
        shape of each leaf, so that rows of one matrix can be in different groups.

    Raises:
        TypeError: the last layer of a network is not known.

    Example:
        >>> flow = flows.real_nvp(jax.random.key(0), dim=4, length=2)
        >>> parameter_groups(flow)["scale"].bijection.layers.bijections[0].network.biases[-1]
        Array([[False,  True, False,  True],
               [False,  True, False,  True]], dtype=bool)
    """
    scale, trained = over_layers(_scales, model, is_leaf=_is_layer), trained_parameters(model)
    return {
        "scale": jax.tree.map(jnp.logical_and, trained, scale),
        "rest": jax.tree.map(lambda trained, scale: trained & ~scale, trained, scale),
    }


def trained_parameters(model: PyTree) -> PyTree:
    """The mask of every parameter that a gradient can reach."""

    def each(node: Any) -> PyTree:
        return _filled(node, not _is_held(node))

    return jax.tree.map(each, model, is_leaf=_is_held)


def chosen_parameters(model: PyTree, mask: PyTree | None) -> PyTree:
    """`mask`, or that of all trained parameters where it is None."""
    return trained_parameters(model) if mask is None else mask


def masked(tree: PyTree, mask: PyTree) -> PyTree:
    """`tree` with zeros where `mask` is false."""
    return jax.tree.map(lambda leaf, keep: jnp.where(keep, leaf, 0), tree, mask)


def _is_held(node: Any) -> bool:
    return isinstance(node, Frozen | Uniform) or (isinstance(node, LocationScale) and not node.trained)


def _is_layer(node: Any) -> bool:
    return isinstance(node, Coupling | MaskedAutoregressive | MultivariateNormal)


def _scales(path: tuple[Any, ...], node: Any) -> PyTree:
    match node:
        case Coupling() | MaskedAutoregressive():
            return _emitted_scales(node)
        case MultivariateNormal():
            diagonal = jnp.eye(node.shape[0], dtype=bool)
            return eqx.tree_at(lambda normal: normal.raw_tril, _filled(node, False), diagonal)
    return _filled(node, bool(path) and getattr(path[-1], "name", None) in LOG_SCALES)


def _emitted_scales(layer: Coupling | MaskedAutoregressive) -> PyTree:
    emitted = _slope_columns(layer.transformer)
    weight, bias, axis = _output_layer(layer.network)
    of_bias = jnp.tile(emitted, bias.size // emitted.size)
    other_axes = [other for other in range(-weight.ndim, 0) if other != axis]
    of_weight = jnp.broadcast_to(jnp.expand_dims(of_bias, other_axes), weight.shape)
    transformer = jax.tree.map_with_path(lambda path, leaf: _filled(leaf, path[0].name == "transformer"), layer)
    return eqx.tree_at(lambda layer: _output_layer(layer.network)[:2], transformer, (of_weight, of_bias))


def _slope_columns(transformer: Transformer) -> Bool[Array, " size"]:
    """Which of the parameters that a transformer takes change the slopes of its bijection."""
    ones = jax.tree.map(lambda leaf: jnp.ones_like(leaf) if eqx.is_inexact_array(leaf) else leaf, transformer)
    key_x, key_parameters = jax.random.split(jax.random.key(0))
    x, parameters = jax.random.normal(key_x, (2,)), jax.random.normal(key_parameters, (2, transformer.size))

    def slopes(parameters: Array) -> Array:
        return jax.jvp(ones(parameters).forward, (x,), (jnp.ones_like(x),))[1]

    return jnp.any(jax.jacobian(slopes)(parameters) != 0, axis=(0, 1))


def _output_layer(network: Any) -> tuple[Any, Any, int]:
    """Weight and bias of the last layer, and the axis of the weight along which its outputs lie."""
    match network:
        case MADE():
            return _output_layer(network.mlp)
        case OnCircle() | Contextual():
            return _output_layer(network.network)
        case Sequential() if network.layers:
            return _output_layer(network.layers[-1])
        case MLP():
            return network.weights[-1], network.biases[-1], -2
        case ConvNet():
            return network.weights[-1], network.biases[-1], -1
        case Dense(pieces=1):
            return network.weight, network.bias, -2
        case Convolution():
            return network.weight, network.bias, -1
    raise TypeError(f"the last layer of {type(network).__name__} is not known")


def _filled(tree: PyTree, value: bool) -> PyTree:
    """A mask of `tree` with one value throughout."""
    return jax.tree.map(lambda leaf: jnp.full(leaf.shape, value) if eqx.is_inexact_array(leaf) else None, tree)
