"""Elementwise affine maps."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Scalar, Volume


class DiagonalAffine(Bijection):
    """`f(x) = loc + exp(log_scale) x`, elementwise.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
    """

    loc: Float[Array, "... D"]
    log_scale: Float[Array, "... D"]

    @staticmethod
    def identity(dim: int) -> "DiagonalAffine":
        """The layer that does nothing yet."""
        return DiagonalAffine(jnp.zeros(dim), jnp.zeros(dim))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.CONSTANT

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.loc + jnp.exp(self.log_scale) * x, jnp.sum(self.log_scale)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return (y - self.loc) * jnp.exp(-self.log_scale), -jnp.sum(self.log_scale)
