"""Small neural networks that emit the parameters of a bijection."""

import copyreg
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import accumulate, pairwise
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from pushforward.devices import refuse_wrong_sums
from pushforward.types import PRNGKeyArray

__all__ = [
    "MADE",
    "MLP",
    "Contextual",
    "ConvNet",
    "Convolution",
    "Dense",
    "DepthToSpace",
    "GatedConvolution",
    "LipschitzMLP",
    "MaskedMLP",
    "Network",
    "NormalisedMLP",
    "OnCircle",
    "Sequential",
    "Shaped",
    "convolve",
]


def __dir__() -> list[str]:
    return __all__


refuse_wrong_sums()

Activation = Callable[[Array], Array]


def _by_name(function: Any) -> str:
    return function.__qualname__


# JAX's compiled functions, activations among them, cannot be pickled otherwise, nor the networks that hold them.
for kind in (type(jax.jit(_by_name)), jax.custom_jvp):
    copyreg.pickle(kind, _by_name)


class MLP(eqx.Module):
    """A multilayer perceptron of one sample, whose last layer starts at zero.

    A network that starts at zero makes the layer of a flow start as the identity.

    Attributes:
        weights: one matrix a layer, `(fan_out, fan_in)`.
        biases: one vector a layer, `(fan_out,)`.
    """

    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]
    activation: Activation = eqx.field(static=True)

    @staticmethod
    def init(
        key: PRNGKeyArray,
        in_size: int,
        out_size: int,
        width: int,
        depth: int,
        activation: Activation = jnp.tanh,
        *,
        zero: bool = True,
    ) -> "MLP":
        """A network of `depth` hidden layers of `width` units.

        Weights and biases start uniform within `1 / sqrt(fan_in)`, as those of PyTorch do, so that the kinks of the
        hidden units lie all over the inputs; the last layer has no biases at first.

        Args:
            key: for the random start.
            in_size: inputs.
            out_size: outputs.
            width: hidden units of each layer.
            depth: hidden layers.
            activation: of the hidden layers.
            zero: whether the last layer starts at zero.
        """
        sizes = [in_size, *[width] * depth, out_size]
        shapes = list(zip(sizes[1:], sizes))
        layers = _uniform_layers(key, shapes[:-1] if zero else shapes)
        if zero:
            layers.append((jnp.zeros(shapes[-1]), jnp.zeros(out_size)))
        weights, biases = zip(*layers)
        return MLP(weights, (*biases[:-1], jnp.zeros(out_size)), activation)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
            x = self.activation(x @ weight.T + bias)
        return x @ self.weights[-1].T + self.biases[-1]


def _uniform_layers(key: PRNGKeyArray, shapes: Sequence[tuple[int, int]]) -> list[tuple[Array, Array]]:
    """Weights `(fan_out, fan_in)` and biases within `1 / sqrt(fan_in)`, of one draw: each takes a second to compile."""
    counts = [fan_out * (fan_in + 1) for fan_out, fan_in in shapes]
    drawn = jnp.split(jax.random.uniform(key, (sum(counts),), minval=-1.0), list(accumulate(counts))[:-1])
    layers = [part.reshape(m, n + 1) * max(n, 1) ** -0.5 for part, (m, n) in zip(drawn, shapes)]
    return [(layer[:, :-1], layer[:, -1]) for layer in layers]


class Dense(eqx.Module):
    """A linear layer of one sample with an activation, or with the largest of several linear pieces: maxout.

    Goodfellow et al., 2013, "Maxout networks".

    Attributes:
        weight: `(pieces * fan_out, fan_in)`.
        bias: `(pieces * fan_out,)`.
        activation: acts on the largest piece; None leaves it as it is.
        pieces: linear maps behind each output.
    """

    weight: Float[Array, "rows fan_in"]
    bias: Float[Array, " rows"]
    activation: Activation | None = eqx.field(static=True, default=None)
    pieces: int = eqx.field(static=True, default=1)

    @staticmethod
    def init(
        key: PRNGKeyArray, in_size: int, out_size: int, activation: Activation | None = None, pieces: int = 1
    ) -> "Dense":
        """A layer with Glorot's initialisation: weights of variance `2 / (fan_in + fan_out)`, no bias.

        Args:
            key: for the random start.
            in_size: inputs.
            out_size: outputs.
            activation: by name; None for none.
            pieces: linear pieces of a maxout unit.
        """
        scale = jnp.sqrt(2 / (in_size + out_size))
        weight = scale * jax.random.normal(key, (pieces * out_size, in_size))
        return Dense(weight, jnp.zeros(pieces * out_size), activation, pieces)

    def __call__(self, x: Float[Array, " fan_in"]) -> Float[Array, " fan_out"]:
        y = reduce(jnp.maximum, jnp.split(x @ self.weight.T + self.bias, self.pieces))
        return y if self.activation is None else self.activation(y)


class Convolution(eqx.Module):
    """A 3x3 convolution of one image.

    Attributes:
        weight: `(3, 3, fan_in, fan_out)`.
        bias: `(fan_out,)`.
        stride: 2 halves the sides.
    """

    weight: Float[Array, "3 3 fan_in fan_out"]
    bias: Float[Array, " fan_out"]
    stride: int = eqx.field(static=True, default=1)

    @staticmethod
    def init(key: PRNGKeyArray, in_channels: int, out_channels: int, stride: int = 1) -> "Convolution":
        """A layer with Glorot's initialisation and no bias.

        Args:
            key: for the random start.
            in_channels: of the input.
            out_channels: of the output.
            stride: by which the image is made smaller.
        """
        weight = jax.nn.initializers.glorot_normal()(key, (3, 3, in_channels, out_channels))
        return Convolution(weight, jnp.zeros(out_channels), stride)

    def __call__(self, x: Float[Array, "H W C"]) -> Float[Array, "height width out"]:
        return convolve(x, self.weight, self.stride) + self.bias[None, None]


class GatedConvolution(eqx.Module):
    """A convolution and its gate, `a sigmoid(b)`, as in van den Berg et al., 2018, section 6.2.

    Attributes:
        convolution: emits `a` and `b`.
    """

    convolution: Convolution

    @staticmethod
    def init(key: PRNGKeyArray, in_channels: int, out_channels: int, stride: int = 1) -> "GatedConvolution":
        """A layer to `out_channels` channels.

        Args:
            key: for the random start.
            in_channels: of the input.
            out_channels: of the output.
            stride: by which the image is made smaller.
        """
        return GatedConvolution(Convolution.init(key, in_channels, 2 * out_channels, stride))

    def __call__(self, x: Float[Array, "H W C"]) -> Float[Array, "height width out"]:
        values, gates = jnp.split(self.convolution(x), 2, axis=-1)
        return values * jax.nn.sigmoid(gates)


class Shaped(eqx.Module):
    """A change of shape: of an image to a vector, or back."""

    shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x.reshape(self.shape)


class DepthToSpace(eqx.Module):
    """`(H, W, 4 C)` to `(2 H, 2 W, C)`: what makes a convolution double the sides of an image (Shi et al., 2016)."""

    def __call__(self, x: Float[Array, "H W channels"]) -> Float[Array, "height width C"]:
        height, width, channels = x.shape
        blocks = x.reshape(height, width, 2, 2, channels // 4)
        return blocks.transpose(0, 2, 1, 3, 4).reshape(2 * height, 2 * width, channels // 4)


class Sequential(eqx.Module):
    """Layers in turn; none at all are the identity."""

    layers: tuple[Callable[[Array], Array], ...]

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return reduce(lambda x, layer: layer(x), self.layers, x)


class MaskedMLP(MLP):
    """The network of a `MADE` with its masks applied.

    Attributes:
        degrees: of the units of each layer, the inputs first: a unit sees units of at most its own degree.
    """

    degrees: tuple[tuple[int, ...], ...] = eqx.field(static=True, default=())


class MADE(eqx.Module):
    """A masked MLP from D inputs to `(D, size)`, where row `i` of the output depends on the inputs before `i` only.

    Germain et al., 2015, "MADE: Masked Autoencoder for Distribution Estimation". Hidden unit `j` sees the first
    `degree(j)` inputs, and row `i` sees the units of degree `i` or less; degrees run from 1 to D-1 in turn, or from 0
    where units that see no input have a context to work on.

    Attributes:
        mlp: the weights, of which the masks leave a part; where an input is several numbers, it takes the first of each
            input, then the second of each.
        dim: D.
        from_zero: whether degrees start at 0.
    """

    mlp: MLP
    dim: int = eqx.field(static=True)
    from_zero: bool = eqx.field(static=True, default=False)

    @staticmethod
    def init(
        key: PRNGKeyArray,
        dim: int,
        size: int,
        width: int,
        depth: int,
        activation: Activation = jax.nn.relu,
        numbers: int = 1,
    ) -> "MADE":
        """A network of `depth` hidden layers of `width` units each, whose last layer starts at zero.

        No hidden layer is narrower than `dim`: where a degree has no unit, a dependence has no path.

        Args:
            key: for the random start.
            dim: inputs D.
            size: outputs for each input.
            width: hidden units of each layer, at least D.
            depth: hidden layers.
            activation: of the hidden layers.
            numbers: of each input.
        """
        width = max(width, dim)
        return MADE(MLP.init(key, numbers * dim, dim * size, width, depth, activation), dim)

    @property
    def _degrees(self) -> list[Int[np.ndarray, " units"]]:
        *hidden, last = (bias.shape[-1] for bias in self.mlp.biases)
        least = 0 if self.from_zero else 1
        numbers = self.mlp.weights[0].shape[-1] // self.dim
        inputs = np.tile(np.arange(1, self.dim + 1), numbers)
        units = [least + np.arange(width) % max(1, self.dim - least) for width in hidden]
        return [inputs, *units, np.repeat(np.arange(self.dim), last // self.dim)]

    def masked(self) -> MaskedMLP:
        """The network with its masks applied."""
        masks = [into[:, None] >= out[None] for out, into in pairwise(self._degrees)]
        weights = (jnp.where(mask, weight, 0) for mask, weight in zip(masks, self.mlp.weights))
        degrees = tuple(tuple(each.tolist()) for each in self._degrees)
        return MaskedMLP(tuple(weights), self.mlp.biases, self.mlp.activation, degrees)

    def __call__(self, x: Float[Array, " inputs"]) -> Float[Array, "D size"]:
        return self.masked()(x).reshape(self.dim, -1)


class ConvNet(eqx.Module):
    """Convolutions 3x3, 1x1, 3x3 of one image `(H, W, C)`, the last one starting at zero, as in Glow.

    Attributes:
        weights: one kernel a layer, `(height, width, fan_in, fan_out)`.
        biases: one vector a layer, `(fan_out,)`.
    """

    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]

    @staticmethod
    def init(key: PRNGKeyArray, in_channels: int, out_channels: int, width: int) -> "ConvNet":
        """A network of `width` channels.

        Args:
            key: for the random start.
            in_channels: of the input.
            out_channels: of the output.
            width: channels of the hidden layers.
        """
        shapes = (3, 3, in_channels, width), (1, 1, width, width), (3, 3, width, out_channels)
        initialise = jax.nn.initializers.he_normal()
        weights = [initialise(k, shape) for k, shape in zip(jax.random.split(key, 3), shapes)]
        weights[-1] = jnp.zeros_like(weights[-1])
        return ConvNet(tuple(weights), tuple(jnp.zeros(shape[-1]) for shape in shapes))

    def __call__(self, x: Float[Array, "H W C"]) -> Float[Array, "H W out"]:
        last = len(self.weights) - 1
        for index, (weight, bias) in enumerate(zip(self.weights, self.biases)):
            x = convolve(x, weight) + bias[None, None]
            x = x if index == last else jax.nn.relu(x)
        return x


def convolve(
    x: Float[Array, "H W C"], weight: Float[Array, "h w C out"], stride: int = 1
) -> Float[Array, "height width out"]:
    """The convolution of an image with a kernel of odd sides, zeros around the image, as matrix products.

    With a stride above 1, which the sides of the image must be multiples of, every such row and column is kept.

    The gradient of XLA's own convolution is over ten times slower inside a loop on CPU.

    Args:
        x: an image, `(H, W, C)`.
        weight: the filter, `(h, w, C, out)`.
        stride: by which the image is made smaller.
    """
    height, width, channels = x.shape
    rows, columns, _, out = weight.shape
    places = [(i, j) for i in range(rows) for j in range(columns)]
    around = ((rows // 2, rows // 2), (columns // 2, columns // 2))
    if channels <= out or stride > 1:
        padded = jnp.pad(x, (*around, (0, 0)))
        patches = jnp.concatenate([padded[i : i + height : stride, j : j + width : stride] for i, j in places], axis=-1)
        return (patches.reshape(-1, patches.shape[-1]) @ weight.reshape(-1, out)).reshape(*patches.shape[:2], out)
    products = x.reshape(-1, channels) @ weight.transpose(2, 0, 1, 3).reshape(channels, -1)
    padded = jnp.pad(products.reshape(height, width, len(places), out), (*around, (0, 0), (0, 0)))
    shifted = [padded[i : i + height, j : j + width, n] for n, (i, j) in enumerate(places)]
    return reduce(jnp.add, shifted)


class OnCircle(eqx.Module):
    """A network of angles, fed with their cosines and sines, so that it is periodic.

    Attributes:
        network: takes 2 D numbers: the cosines and the sines, or a real number and 0.
        periodic: whether each input is an angle, shape `(D,)`, not trained; None where all are.
    """

    network: "MLP | MADE"
    periodic: Bool[Array, "..."] | None = None

    def masked(self) -> "OnCircle":
        """The same with the masks of its network, a `MADE`, applied."""
        network = self.network.masked() if isinstance(self.network, MADE) else self.network
        return OnCircle(network, self.periodic)

    def features(self, x: Float[Array, " D"]) -> Float[Array, " features"]:
        """What the network sees of the inputs."""
        first, second = jnp.cos(x), jnp.sin(x)
        if self.periodic is not None:
            first, second = jnp.where(self.periodic, first, x), jnp.where(self.periodic, second, 0)
        return jnp.concatenate([first, second])

    def __call__(self, x: Float[Array, " D"]) -> Float[Array, "..."]:
        return self.network(self.features(x))


class LipschitzMLP(eqx.Module):
    """An MLP from D to D numbers that shrinks every distance to `coefficient` of it or less.

    Each matrix is divided by what its largest singular value has over `coefficient^(1 / layers)`, and the activation is
    LipSwish, `x sigmoid(beta x) / 1.1` with `beta > 0` trained (Chen et al., 2019, "Residual Flows for Invertible
    Generative Modeling"). The singular value is exact, where power iteration would only come near it from below.

    Attributes:
        weights: one matrix a layer, `(fan_out, fan_in)`, before they are normalised.
        biases: one vector a layer.
        raw_beta: one number for each activation, before softplus.
        coefficient: below 1.
    """

    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]
    raw_beta: Float[Array, "... depth"]
    coefficient: float = eqx.field(static=True)

    @staticmethod
    def init(key: PRNGKeyArray, dim: int, width: int, depth: int, coefficient: float = 0.9) -> "LipschitzMLP":
        """A network of `depth` hidden layers of `width` units.

        Args:
            key: for the random start.
            dim: inputs and outputs D.
            width: hidden units of each layer.
            depth: hidden layers.
            coefficient: Lipschitz constant, below 1.

        Raises:
            ValueError: `coefficient` is not between 0 and 1.
        """
        if not 0 < coefficient < 1:
            raise ValueError(f"the Lipschitz coefficient must lie between 0 and 1, got {coefficient}")
        sizes = [dim, *[width] * depth, dim]
        initialise = jax.nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
        weights = [initialise(k, (m, n)) for k, n, m in zip(jax.random.split(key, depth + 1), sizes, sizes[1:])]
        return LipschitzMLP(
            tuple(weights), tuple(jnp.zeros(size) for size in sizes[1:]), jnp.full(depth, 0.5), coefficient
        )

    def normalised(self) -> "NormalisedMLP":
        """The network with its constraint applied."""
        bound = self.coefficient ** (1 / len(self.weights))
        weights = []
        for weight in self.weights:
            largest = jnp.linalg.svd(weight, compute_uv=False)[0]
            weights.append(weight * (bound / jnp.maximum(largest, bound)))
        return NormalisedMLP(tuple(weights), self.biases, jax.nn.softplus(self.raw_beta))

    def __call__(self, x: Float[Array, " D"]) -> Float[Array, " D"]:
        return self.normalised()(x)


class NormalisedMLP(eqx.Module):
    """A `LipschitzMLP` whose constraint has been applied."""

    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]
    beta: Float[Array, "... depth"]

    def __call__(self, x: Float[Array, " D"]) -> Float[Array, " D"]:
        for index, (weight, bias) in enumerate(zip(self.weights[:-1], self.biases[:-1])):
            x = x @ weight.T + bias
            x = x * jax.nn.sigmoid(self.beta[index] * x) / 1.1
        return x @ self.weights[-1].T + self.biases[-1]


Network = TypeVar("Network", MLP, MADE, ConvNet, LipschitzMLP)


class Contextual(eqx.Module, Generic[Network]):
    """A network whose first layer also sees a context: once that is `given`, it is a plain network again.

    Attributes:
        network: what it is without a context.
        weight: from the context to the first layer, `(fan_out, context)`.
    """

    network: Network
    weight: Float[Array, "... fan_out context"]

    @staticmethod
    def init(network: Network, key: PRNGKeyArray, context_dim: int) -> "Contextual[Network]":
        """A network that starts as if its first layer had had the context among its inputs from the first.

        Args:
            network: what it is without a context.
            key: for the weights of the context.
            context_dim: numbers in a context.
        """
        first: Array = _mlp(network).weights[0]
        bias: Array = _mlp(network).biases[0]
        fan_in = first.size // max(bias.size, 1) + context_dim
        limit = max(fan_in, 1) ** -0.5
        return Contextual(network, jax.random.uniform(key, (*bias.shape, context_dim), bias.dtype, -limit, limit))

    def given(self, context: Float[Array, " context"]) -> Network:
        """The network for one context."""
        biases: tuple[Array, ...] = _mlp(self.network).biases
        shifted = (biases[0] + self.weight @ context, *biases[1:])
        return eqx.tree_at(lambda network: _mlp(network).biases, self.network, shifted)


def _mlp(network: MLP | MADE | ConvNet | LipschitzMLP) -> MLP | ConvNet | LipschitzMLP:
    return network.mlp if isinstance(network, MADE) else network
