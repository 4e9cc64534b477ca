"""Maps that only move numbers to other places."""

import math

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Volume, WithLogDet


class Reshape(Bijection):
    """The same numbers in another shape, in row-major order.

    Raises:
        ValueError: the two shapes hold different numbers of numbers.
    """

    from_shape: tuple[int, ...] = eqx.field(static=True)
    to_shape: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if math.prod(self.from_shape) != math.prod(self.to_shape):
            raise ValueError(f"cannot reshape {self.from_shape} to {self.to_shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.from_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.to_shape

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    @property
    def increasing(self) -> bool:
        return True

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return x.reshape(self.to_shape), jnp.zeros((), x.dtype)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return y.reshape(self.from_shape), jnp.zeros((), y.dtype)


class Squeeze(Bijection):
    """An image `(H, W, C)` as one of half the sides and four times the channels, `(H/2, W/2, 4C)`.

    Dinh, Sohl-Dickstein & Bengio, 2017, "Density estimation using Real NVP", section 3.6.

    Raises:
        ValueError: the shape is not that of an image with even sides.
    """

    image_shape: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if len(self.image_shape) != 3 or self.image_shape[0] % 2 or self.image_shape[1] % 2:
            raise ValueError(f"squeezing needs an image (H, W, C) with even sides, got {self.image_shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.image_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        height, width, channels = self.image_shape
        return height // 2, width // 2, 4 * channels

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    @property
    def increasing(self) -> bool:
        return True

    def _forward_and_log_det(self, x: Float[Array, "H W C"]) -> WithLogDet:
        height, width, _ = self.out_shape
        blocks = x.reshape(height, 2, width, 2, -1).transpose(0, 2, 1, 3, 4)
        return blocks.reshape(self.out_shape), jnp.zeros((), x.dtype)

    def _inverse_and_log_det(self, y: Float[Array, "h w c"]) -> WithLogDet:
        height, width, _ = self.out_shape
        blocks = y.reshape(height, width, 2, 2, -1).transpose(0, 2, 1, 3, 4)
        return blocks.reshape(self.image_shape), jnp.zeros((), y.dtype)
