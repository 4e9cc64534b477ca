"""Encoders and decoders of deep latent Gaussian models."""

from collections.abc import Sequence
from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.nets import Activation, Convolution, Dense, DepthToSpace, GatedConvolution, Sequential, Shaped
from pushforward.types import PRNGKeyArray

ACTIVATIONS: dict[str, Activation | None] = {
    "maxout": None,
    "relu": jax.nn.relu,
    "elu": jax.nn.elu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


class ByParameter(eqx.Module):
    """An image with `size` numbers for each pixel and channel as the vector that a likelihood takes.

    Attributes:
        size: numbers for each pixel and channel.
    """

    size: int = eqx.field(static=True)

    def __call__(self, x: Float[Array, "H W channels"]) -> Float[Array, " parameters"]:
        height, width, channels = x.shape
        return x.reshape(height, width, self.size, channels // self.size).transpose(2, 0, 1, 3).ravel()


class Divided(eqx.Module):
    """Numbers divided by a constant: grey levels as they suit a network.

    Attributes:
        divisor: the constant.
    """

    divisor: float = eqx.field(static=True)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return x / self.divisor


def dense(
    key: PRNGKeyArray, sizes: Sequence[int], out: int | None = None, activation: str = "maxout", pieces: int = 4
) -> Sequential:
    """Dense hidden layers, `sizes[0]` to `sizes[-1]` numbers, and a linear layer to `out` numbers if that is given."""
    keys = jax.random.split(key, len(sizes))
    hidden = [
        Dense.init(k, m, n, ACTIVATIONS[activation], pieces if activation == "maxout" else 1)
        for k, (m, n) in zip(keys, pairwise(sizes))
    ]
    return Sequential((*hidden, *([] if out is None else [Dense.init(keys[-1], sizes[-1], out)])))


def convolutional_encoder(
    key: PRNGKeyArray, shape: tuple[int, int, int], channels: Sequence[int], features: int
) -> Sequential:
    """Gated convolutions that halve an image once for each of `channels`, and a dense layer to `features` numbers.

    Raises:
        ValueError: the sides of the image cannot be halved so often.
    """
    height, width = _smallest(shape, channels)
    key_dense, *keys = jax.random.split(key, 1 + len(channels))
    layers = [GatedConvolution.init(k, m, n, stride=2) for k, (m, n) in zip(keys, pairwise([shape[-1], *channels]))]
    size = height * width * channels[-1]
    return Sequential((Shaped(shape), *layers, Shaped((size,)), Dense.init(key_dense, size, features, jax.nn.elu)))


def convolutional_decoder(
    key: PRNGKeyArray, latents: int, shape: tuple[int, int, int], channels: Sequence[int], size: int
) -> Sequential:
    """The way back: a dense layer to a small image, gated convolutions that double it, and `size` numbers a pixel.

    Raises:
        ValueError: the sides of the image cannot be halved once for each of `channels`.
    """
    height, width = _smallest(shape, channels)
    key_dense, key_last, *keys = jax.random.split(key, 2 + len(channels))
    small = height, width, channels[-1]
    outs = [*reversed(channels[:-1]), channels[0]]
    layers: list[GatedConvolution | DepthToSpace] = []
    for k, (m, n) in zip(keys, pairwise([channels[-1], *outs])):
        layers += [GatedConvolution.init(k, m, 4 * n), DepthToSpace()]
    return Sequential(
        (
            Dense.init(key_dense, latents, height * width * channels[-1], jax.nn.elu),
            Shaped(small),
            *layers,
            Convolution.init(key_last, channels[0], shape[-1] * size),
            ByParameter(size),
        )
    )


def _smallest(shape: tuple[int, int, int], channels: Sequence[int]) -> tuple[int, int]:
    factor = 2 ** len(channels)
    height, width, _ = shape
    if height % factor or width % factor:
        raise ValueError(f"an image of {height} x {width} pixels cannot be halved {len(channels)} times")
    return height // factor, width // factor
