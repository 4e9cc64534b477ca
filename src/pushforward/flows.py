"""Recipes: a base distribution and a stack of layers of one family."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from pushforward.bijections import (
    ActNorm,
    Additive,
    Affine,
    AffineVolumePreserving,
    Bijection,
    Chain,
    CircularRationalQuadratic,
    Concatenate,
    Continuous,
    Coupling,
    DiagonalAffine,
    Frozen,
    Householder,
    Inverse,
    LULinear,
    MaskedAutoregressive,
    MixedRationalQuadratic,
    OntoCircle,
    Permutation,
    Planar,
    Pointwise,
    Radial,
    RationalQuadratic,
    Reshape,
    Residual,
    Rotation,
    Sigmoid,
    Sigmoidal,
    Squeeze,
    Stack,
    Sylvester,
    Transformer,
)
from pushforward.distributions import Distribution, Normal, Pushforward, Uniform
from pushforward.nets import MADE, MLP, Activation, ConvNet, OnCircle
from pushforward.types import PRNGKeyArray

__all__ = [
    "RECIPES",
    "Fast",
    "Mixing",
    "continuous",
    "glow",
    "iaf",
    "maf",
    "neural_autoregressive",
    "nice",
    "nsf_autoregressive",
    "nsf_coupling",
    "pixels",
    "planar",
    "radial",
    "real_nvp",
    "real_vp",
    "residual",
    "sylvester",
]


def __dir__() -> list[str]:
    return __all__


Mixing = Literal["permutation", "reverse", "rotation", "householder", "lu"]
Fast = Literal["density", "sampling"]
Circular = bool | Sequence[int]
MakeLayer = Callable[[PRNGKeyArray, Int[Array, ""]], Bijection]

MIXERS: dict[str, Callable[[PRNGKeyArray, int], Bijection]] = {
    "permutation": Permutation.init,
    "reverse": lambda key, dim: Permutation.reverse(dim),
    "rotation": Rotation.init,
    "householder": Householder.init,
    "lu": LULinear.init,
}


def planar(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    initialisation: Literal["xavier", "plain"] = "xavier",
) -> Pushforward:
    """Planar flow: varying volume, fast sampling, `log_prob` by one scalar root-find a layer (R&M 2015, section 4.1).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        initialisation: `"xavier"`, Glorot-uniform with the layers near the identity, or `"plain"`, standard Normal.

    Raises:
        ValueError: `length` is negative or `dim` is not positive.
    """
    return _flow(lambda k, _: Planar.init(k, dim, initialisation), key, dim, length, base)


def radial(key: PRNGKeyArray, dim: int, length: int, *, base: Distribution | None = None) -> Pushforward:
    """Radial flow: varying volume, both directions fast (R&M 2015, section 4.1).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.

    Raises:
        ValueError: `length` is negative or `dim` is not positive.
    """
    return _flow(lambda k, _: Radial.init(k, dim), key, dim, length, base)


def sylvester(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    orthogonal: Literal["orthogonal", "householder", "triangular"] = "orthogonal",
    rank: int | None = None,
) -> Pushforward:
    """Sylvester flow: varying volume, fast sampling, `log_prob` by M root-finds a layer (van den Berg et al. 2018).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        orthogonal: what Q is: a trained rotation, D trained reflections, or a fixed random permutation.
        rank: M, the width of a layer; D unless given.

    Raises:
        ValueError: `length` is negative, `dim` is not positive, `rank` is not between 1 and D, or `orthogonal` unknown.
    """
    makers = {"orthogonal": Rotation.init, "householder": Householder.init, "triangular": Permutation.init}
    make = _choice("orthogonal", orthogonal, makers)

    def layer(key: PRNGKeyArray, _: Int[Array, ""]) -> Bijection:
        key_orthogonal, key_layer = jax.random.split(key)
        return Sylvester.init(key_layer, make(key_orthogonal, dim), rank)

    return _flow(layer, key, dim, length, base)


def nice(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "permutation",
    width: int = 16,
    depth: int = 2,
    activation: Activation = jnp.tanh,
) -> Pushforward:
    """NICE, additive coupling: volume preserving (unless mixed by "lu"), both directions fast (Dinh et al. 2015).

    Args:
        key: for the random start.
        dim: dimensions D, at least 2; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each layer: a fixed random permutation, the reverse order, a trained rotation, trained
            reflections, or a trained matrix.
        width: hidden units of each network.
        depth: hidden layers of each network.
        activation: of the hidden layers.

    Raises:
        ValueError: `length` is negative, `dim` is less than 2, or `mixing` is unknown.
    """
    return _coupling(lambda: Additive(), key, dim, length, base, mixing, width, depth, activation)


def real_vp(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "permutation",
    width: int = 64,
    depth: int = 2,
    activation: Activation = jax.nn.relu,
    scale: float = 2.0,
) -> Pushforward:
    """Real VP, log scales that sum to zero: volume preserving, both directions fast (after Dinh et al. 2017).

    With fewer than two dimensions to transform it is an additive coupling.

    Args:
        key: for the random start.
        dim: dimensions D, at least 2; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each layer: a fixed random permutation, the reverse order, a trained rotation, trained
            reflections, or a trained matrix.
        width: hidden units of each network.
        depth: hidden layers of each network.
        activation: of the hidden layers.
        scale: largest log scale of a layer at the start of training.

    Raises:
        ValueError: `length` is negative, `dim` is less than 2, or `mixing` is unknown.
    """
    transformer = partial(AffineVolumePreserving.init, scale)
    return _coupling(transformer, key, dim, length, base, mixing, width, depth, activation)


def real_nvp(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "permutation",
    width: int = 64,
    depth: int = 2,
    activation: Activation = jax.nn.relu,
    scale: float = 2.0,
) -> Pushforward:
    """Real NVP, affine coupling: varying volume, both directions fast (Dinh et al. 2017).

    Args:
        key: for the random start.
        dim: dimensions D, at least 2; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each layer: a fixed random permutation, the reverse order, a trained rotation, trained
            reflections, or a trained matrix.
        width: hidden units of each network.
        depth: hidden layers of each network.
        activation: of the hidden layers.
        scale: largest log scale of a layer at the start of training.

    Raises:
        ValueError: `length` is negative, `dim` is less than 2, or `mixing` is unknown.
    """
    transformer = partial(Affine.init, scale)
    return _coupling(transformer, key, dim, length, base, mixing, width, depth, activation)


def nsf_coupling(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "permutation",
    width: int = 64,
    depth: int = 2,
    activation: Activation = jax.nn.relu,
    bins: int = 8,
    bound: float = 5.0,
    circular: Circular = False,
) -> Pushforward:
    """Neural splines, coupling: varying volume, both directions fast (Durkan et al. 2019).

    Args:
        key: for the random start.
        dim: dimensions D, at least 2; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each layer: a fixed random permutation, the reverse order, a trained rotation, trained
            reflections, or a trained matrix.
        width: hidden units of each network.
        depth: hidden layers of each network.
        activation: of the hidden layers.
        bins: of each spline.
        bound: where the linear tails begin.
        circular: splines of angles in [-pi, pi) on the uniform base instead (Rezende et al. 2020); or the indices of
            the angles among real numbers, on N(0, I), of which angles are first made uniform. Mixed by permutations
            only.

    Raises:
        ValueError: `length` is negative, `dim` is less than 2, `mixing` is unknown, angles are to be mixed by something
            else than a permutation, or an index is none of a dimension.
    """
    if circular is False:
        spline = partial(RationalQuadratic, bins, bound)
        return _coupling(spline, key, dim, length, base, mixing, width, depth, activation)
    if circular is not True:
        _refuse_one_dimension(dim)
        kept = dim // 2

        def coupling(key: PRNGKeyArray, periodic: Bool[Array, " D"]) -> Bijection:
            moved = MixedRationalQuadratic(periodic[kept:], bins, bound)
            network = MLP.init(key, 2 * kept, (dim - kept) * moved.size, width, depth, activation)
            return Coupling(moved, OnCircle(network, periodic[:kept]), (dim,), kept)

        return _among_reals(coupling, key, dim, length, base, mixing, circular)
    _refuse_mixing(mixing)
    if base is None:
        base = Uniform(jnp.full(dim, -jnp.pi), jnp.full(dim, jnp.pi))
    circle = partial(CircularRationalQuadratic, bins)
    return _coupling(circle, key, dim, length, base, mixing, width, depth, activation)


def maf(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "permutation",
    width: int = 64,
    depth: int = 2,
    activation: Activation = jax.nn.relu,
    scale: float = 1.0,
) -> Pushforward:
    """Masked autoregressive flow: varying volume, `log_prob` fast, sampling in D steps (Papamakarios et al. 2017).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each layer: a fixed random permutation, the reverse order, a trained rotation, trained
            reflections, or a trained matrix.
        width: hidden units of each network.
        depth: hidden layers of each network.
        activation: of the hidden layers.
        scale: largest log scale of a layer at the start of training.

    Raises:
        ValueError: `length` is negative, `dim` is not positive, or `mixing` is unknown.
    """
    transformer = partial(Affine.init, scale)
    return _autoregressive(transformer, key, dim, length, base, mixing, width, depth, activation, "density")


def iaf(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "permutation",
    width: int = 64,
    depth: int = 2,
    activation: Activation = jax.nn.relu,
    scale: float = 2.0,
) -> Pushforward:
    """Inverse autoregressive flow: varying volume, sampling fast, `log_prob` in D steps (Kingma et al. 2016).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each layer: a fixed random permutation, the reverse order, a trained rotation, trained
            reflections, or a trained matrix.
        width: hidden units of each network.
        depth: hidden layers of each network.
        activation: of the hidden layers.
        scale: largest log scale of a layer at the start of training.

    Raises:
        ValueError: `length` is negative, `dim` is not positive, or `mixing` is unknown.
    """
    transformer = partial(Affine.init, scale)
    return _autoregressive(transformer, key, dim, length, base, mixing, width, depth, activation, "sampling")


def nsf_autoregressive(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "permutation",
    width: int = 64,
    depth: int = 2,
    activation: Activation = jax.nn.relu,
    bins: int = 8,
    bound: float = 5.0,
    circular: Circular = False,
    fast: Fast = "density",
) -> Pushforward:
    """Neural splines, autoregressive: varying volume, one direction fast, D steps for the other (Durkan et al. 2019).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each layer: a fixed random permutation, the reverse order, a trained rotation, trained
            reflections, or a trained matrix.
        width: hidden units of each network.
        depth: hidden layers of each network.
        activation: of the hidden layers.
        bins: of each spline.
        bound: where the linear tails begin.
        circular: the indices of angles in [-pi, pi) among real numbers, or whether all are, on N(0, I), of which angles
            are first made uniform; mixed by permutations only.
        fast: the direction that takes one pass.

    Raises:
        ValueError: `length` is negative, `dim` is not positive, `mixing` or `fast` is unknown, angles are to be mixed
            by something else than a permutation, or an index is none of a dimension.
    """
    if circular is not False:

        def layer(key: PRNGKeyArray, periodic: Bool[Array, " D"]) -> Bijection:
            moved = MixedRationalQuadratic(periodic, bins, bound)
            network = MADE.init(key, dim, moved.size, width, depth, activation, numbers=2)
            return _facing(MaskedAutoregressive(moved, OnCircle(network, periodic), dim), fast)

        return _among_reals(layer, key, dim, length, base, mixing, range(dim) if circular is True else circular)
    transformer = partial(RationalQuadratic, bins, bound)
    return _autoregressive(transformer, key, dim, length, base, mixing, width, depth, activation, fast)


def neural_autoregressive(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "permutation",
    width: int = 64,
    depth: int = 2,
    activation: Activation = jax.nn.relu,
    units: int = 8,
    fast: Fast = "density",
) -> Pushforward:
    """Deep sigmoidal flow: varying volume, one direction fast, D root-finds in turn back (Huang et al. 2018).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each layer: a fixed random permutation, the reverse order, a trained rotation, trained
            reflections, or a trained matrix.
        width: hidden units of each network.
        depth: hidden layers of each network.
        activation: of the hidden layers.
        units: sigmoids in each mixture.
        fast: the direction that takes one pass.

    Raises:
        ValueError: `length` is negative, `dim` is not positive, or `mixing` or `fast` is unknown.
    """
    transformer = partial(Sigmoidal, units)
    return _autoregressive(transformer, key, dim, length, base, mixing, width, depth, activation, fast)


def residual(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    width: int = 64,
    depth: int = 2,
    coefficient: float = 0.9,
    exact: bool = True,
    fast: Fast = "density",
) -> Pushforward:
    """Residual flow: varying volume, one direction fast, a fixed point for the other (Chen et al. 2019).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        width: hidden units of each network.
        depth: hidden layers of each network.
        coefficient: Lipschitz constant of each network, below 1.
        exact: log-determinants from Jacobians, at the cost of D derivatives; else unbiased estimates.
        fast: the direction that needs no fixed point.

    Raises:
        ValueError: `length` is negative, `dim` is not positive, or `coefficient` is not between 0 and 1.
    """

    def layer(key: PRNGKeyArray, _: Int[Array, ""]) -> Bijection:
        return _facing(Residual.init(key, dim, width, depth, coefficient, exact), fast)

    return _flow(layer, key, dim, length, base)


def continuous(
    key: PRNGKeyArray,
    dim: int,
    length: int = 1,
    *,
    base: Distribution | None = None,
    width: int = 64,
    depth: int = 2,
    tolerance: float = 1e-5,
    exact: bool = True,
) -> Pushforward:
    """Continuous flow (FFJORD): varying volume, both directions by an ODE solver (Grathwohl et al. 2019).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: fields, one after the other; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        width: hidden units of each network.
        depth: hidden layers of each network.
        tolerance: of the solver.
        exact: the trace by D derivatives; else Hutchinson's unbiased estimate.

    Raises:
        ValueError: `length` is negative or `dim` is not positive.
    """
    return _flow(lambda k, _: Continuous.init(k, dim, width, depth, tolerance, exact), key, dim, length, base)


def glow(
    key: PRNGKeyArray,
    shape: tuple[int, int, int],
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Mixing = "lu",
    levels: int | None = None,
    width: int = 64,
    scale: float = 2.0,
) -> Pushforward:
    """Glow, of images: varying volume, both directions fast, latents factored out (Kingma & Dhariwal 2018).

    Each level squeezes the image, runs `length` steps of activation normalisation, mixing of the channels and affine
    coupling, and sends half of the channels on to the next level. Mixed by "permutation" instead of "lu" it is a
    multi-scale Real NVP. `flow.calibrated(images)` starts the normalisation from a batch of data.

    Args:
        key: for the random start.
        shape: of an image, `(H, W, C)`.
        length: steps K of each level.
        base: N(mu, diag(sigma)^2) of H W C dimensions with both trained, unless given.
        mixing: of the channels after each step: a fixed random permutation, the reverse order, a trained rotation,
            trained reflections, or a trained matrix.
        levels: how often the image is halved; as often as its sides allow, three times at most, unless given.
        width: channels of each network.
        scale: largest log scale of a layer at the start of training.

    Raises:
        ValueError: `length` is negative, `mixing` is unknown, or the sides cannot be halved `levels` times.
    """
    height, side, channels = shape
    if levels is None:
        levels = next((n for n in (3, 2, 1) if height % 2**n == 0 == side % 2**n and min(shape[:2]) > 2**n), 1)
    mix = _choice("mixing", mixing, MIXERS)

    def step(key: PRNGKeyArray, _: Int[Array, ""], squeezed: tuple[int, ...]) -> Bijection:
        key_net, key_mix = jax.random.split(key)
        *places, channels = squeezed
        kept = channels // 2
        transformer = Affine.init(scale)
        network = ConvNet.init(key_net, kept, (channels - kept) * transformer.size, width)
        maps = mix(key_mix, channels), ActNorm.identity(channels)
        coupling = Coupling(transformer, network, squeezed, kept)
        return Chain((coupling, *(Pointwise(each, tuple(places)) for each in maps)))

    def level(key: PRNGKeyArray, shape: tuple[int, int, int], remaining: int) -> Bijection:
        key_steps, key_next = jax.random.split(key)
        squeeze = Squeeze(shape)
        height, side, channels = squeeze.out_shape
        size = height * side * channels
        if remaining == 1:
            inner: Bijection = Reshape((size,), squeeze.out_shape)
        else:
            half = height, side, channels // 2
            inner = Concatenate((level(key_next, half, remaining - 1), Reshape((size // 2,), half)))
        steps = Stack.init(partial(step, squeezed=squeeze.out_shape), key_steps, length)
        return Chain((inner, steps, Inverse(squeeze)))

    if base is None:
        base = Normal.standard(height * side * channels, trained=True)
    return Pushforward(base, level(key, shape, levels))


def pixels(flow: Pushforward, shape: Sequence[int], margin: float = 0.05) -> Pushforward:
    """A flow of images in [0, 1], from one of unbounded numbers: `sigmoid`, whose Jacobian is counted, ends it.

    The sigmoid is stretched by `margin` beyond both ends, so that no pixel lies at infinity (Dinh et al., 2017, section
    4.1).

    Args:
        flow: of as many numbers as an image has.
        shape: of an image, `(H, W, C)`.
        margin: how far the sigmoid reaches beyond 0 and 1.
    """
    shape = tuple(shape)
    *places, channels = shape
    affine = DiagonalAffine(jnp.full(channels, -margin), jnp.full(channels, math.log(1 + 2 * margin)))
    stretch = Pointwise(Frozen(affine), tuple(places))
    reshape = [] if flow.shape == shape else [Reshape(flow.shape, shape)]
    return Pushforward(flow.base, Chain((flow.bijection, *reshape, Sigmoid(shape), stretch)))


def _coupling(
    transformer: Callable[[], Transformer],
    key: PRNGKeyArray,
    dim: int,
    length: int,
    base: Distribution | None,
    mixing: Mixing,
    width: int,
    depth: int,
    activation: Activation,
) -> Pushforward:
    _refuse_one_dimension(dim)
    kept = dim // 2

    def layer(key: PRNGKeyArray) -> Bijection:
        made = transformer()
        out = (dim - kept) * made.size
        if isinstance(made, CircularRationalQuadratic):
            return Coupling(made, OnCircle(MLP.init(key, 2 * kept, out, width, depth, activation)), (dim,), kept)
        return Coupling(made, MLP.init(key, kept, out, width, depth, activation), (dim,), kept)

    return _flow(_mixed(layer, dim, mixing), key, dim, length, base)


def _autoregressive(
    transformer: Callable[[], Transformer],
    key: PRNGKeyArray,
    dim: int,
    length: int,
    base: Distribution | None,
    mixing: Mixing,
    width: int,
    depth: int,
    activation: Activation,
    fast: Fast,
) -> Pushforward:
    def layer(key: PRNGKeyArray) -> Bijection:
        made = transformer()
        network = MADE.init(key, dim, made.size, width, depth, activation)
        return _facing(MaskedAutoregressive(made, network, dim), fast)

    return _flow(_mixed(layer, dim, mixing), key, dim, length, base)


def _mixed(layer: Callable[[PRNGKeyArray], Bijection], dim: int, mixing: Mixing) -> MakeLayer:
    mix = _choice("mixing", mixing, MIXERS)

    def make(key: PRNGKeyArray, _: Int[Array, ""]) -> Bijection:
        key_layer, key_mix = jax.random.split(key)
        return Chain((layer(key_layer), mix(key_mix, dim)))

    return make


def _among_reals(
    layer: Callable[[PRNGKeyArray, Bool[Array, " D"]], Bijection],
    key: PRNGKeyArray,
    dim: int,
    length: int,
    base: Distribution | None,
    mixing: Mixing,
    circular: Sequence[int],
) -> Pushforward:
    """Layers of angles and real numbers, each between a permutation and its inverse: angles keep their places.

    A layer is made of a key and which of its numbers, in its order, are angles. Each second one takes the order of the
    one before backwards, so that two couplings move every number.
    """
    _refuse_mixing(mixing)
    angles = [int(index) for index in circular]
    if not all(0 <= index < dim for index in angles):
        raise ValueError(f"angles are among the dimensions 0 to {dim - 1}, got {angles}")
    which = tuple(index in angles for index in range(dim))
    key_order, key_layers = jax.random.split(key)

    def between(key: PRNGKeyArray, index: Int[Array, ""]) -> Bijection:
        drawn = jax.random.permutation(jax.random.fold_in(key_order, index // 2), dim)
        order = jnp.arange(dim) if mixing == "reverse" else drawn
        permutation = Permutation(jnp.where(index % 2 == 1, order[::-1], order))
        return Chain((permutation, layer(key, jnp.array(which)[permutation.indices]), Inverse(permutation)))

    flow = _flow(between, key_layers, dim, length, Normal.standard(dim) if base is None else base)
    return Pushforward(flow.base, Chain((OntoCircle(which), flow.bijection)))


def _refuse_one_dimension(dim: int) -> None:
    if dim < 2:
        raise ValueError(f"a coupling layer needs at least 2 dimensions, got {dim}")


def _refuse_mixing(mixing: str) -> None:
    if mixing not in ("permutation", "reverse"):
        raise ValueError(f"angles can be mixed by permutations only, not by {mixing!r}")


def _facing(layer: Bijection, fast: Fast) -> Bijection:
    """A layer whose forward direction is the fast one, turned so that `fast` is."""
    return layer if _choice("fast", fast, {"sampling": True, "density": False}) else Inverse(layer)


def _choice(name: str, value: str, choices: dict[str, Any]) -> Any:
    if value not in choices:
        raise ValueError(f"unknown {name} {value!r}: choose from {', '.join(choices)}")
    return choices[value]


def _flow(make_layer: MakeLayer, key: PRNGKeyArray, dim: int, length: int, base: Distribution | None) -> Pushforward:
    if dim < 1:
        raise ValueError(f"a flow needs at least 1 dimension, got {dim}")
    if base is None:
        base = Normal.standard(dim, trained=True)
    return Pushforward(base, Stack.init(make_layer, key, length))


RECIPES: dict[str, Callable[..., Pushforward]] = {
    "planar": planar,
    "radial": radial,
    "sylvester": sylvester,
    "nice": nice,
    "real_vp": real_vp,
    "real_nvp": real_nvp,
    "maf": maf,
    "iaf": iaf,
    "nsf_coupling": nsf_coupling,
    "nsf_autoregressive": nsf_autoregressive,
    "neural_autoregressive": neural_autoregressive,
    "residual": residual,
    "continuous": continuous,
    "glow": glow,
}
