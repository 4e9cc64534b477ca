"""Coupling layers: a part of the dimensions stays, and moves the others."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from pushforward.bijections.base import Bijection, Scalar, Volume
from pushforward.nets import MLP


class AdditiveCoupling(Bijection):
    """`f(x) = x + (1 - mask) t(mask x)`: volume preserving.

    Dinh, Krueger & Bengio, 2015, "NICE: Non-linear Independent Components Estimation", section 3.2.

    Attributes:
        mask: True where a dimension stays, shape `(D,)`; not trained, but saved with the parameters.
        translation: the network `t`, from D to D numbers.
    """

    mask: Bool[Array, "... D"]
    translation: MLP

    @staticmethod
    def init(key: PRNGKeyArray, mask: Bool[Array, " D"], width: int = 16, depth: int = 2) -> "AdditiveCoupling":
        """A layer whose network starts at zero, so that it starts as the identity."""
        (dim,) = mask.shape
        return AdditiveCoupling(mask, MLP.init(key, dim, dim, width, depth))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.mask.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    def _shift(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.where(self.mask, 0, self.translation(jnp.where(self.mask, x, 0)))

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return x + self._shift(x), jnp.zeros((), x.dtype)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return y - self._shift(y), jnp.zeros((), y.dtype)


def alternating_mask(dim: int, index: int | Int[Array, ""] = 0) -> Bool[Array, " D"]:
    """Every other dimension, from the first for even `index` and from the second for odd."""
    return (jnp.arange(dim) + index) % 2 == 0
