"""Elementwise affine maps."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Volume, WithLogDet


class Translation(Bijection):
    """`f(x) = x + loc`.

    Attributes:
        loc: shape `(D,)`.
    """

    loc: Float[Array, "*batch D"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    @property
    def increasing(self) -> bool:
        return True

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return x + self.loc, jnp.zeros((), x.dtype)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return y - self.loc, jnp.zeros((), y.dtype)


class DiagonalAffine(Bijection):
    """`f(x) = loc + exp(log_scale) x`, elementwise.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
    """

    loc: Float[Array, "*batch D"]
    log_scale: Float[Array, "*batch D"]

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

    @property
    def increasing(self) -> bool:
        return True

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self.loc + jnp.exp(self.log_scale) * x, jnp.sum(self.log_scale)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return (y - self.loc) * jnp.exp(-self.log_scale), -jnp.sum(self.log_scale)


class Scaling(Bijection):
    """`f(x) = exp(log_scale) x`, one scale for all dimensions.

    Attributes:
        log_scale: shape `()`.
        dim: dimensions D.
    """

    log_scale: Float[Array, "*batch"]
    dim: int = eqx.field(static=True)

    @staticmethod
    def identity(dim: int) -> "Scaling":
        """The layer that does nothing yet."""
        return Scaling(jnp.zeros(()), dim)

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def volume(self) -> Volume:
        return Volume.CONSTANT

    @property
    def increasing(self) -> bool:
        return True

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return jnp.exp(self.log_scale) * x, self.dim * self.log_scale

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return jnp.exp(-self.log_scale) * y, -self.dim * self.log_scale


class VolumePreservingAffine(Bijection):
    """`f(x) = loc + exp(log_scale - mean(log_scale)) x`, elementwise: the log scales sum to zero for every D.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`; only its differences act.
    """

    loc: Float[Array, "*batch D"]
    log_scale: Float[Array, "*batch D"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    @property
    def increasing(self) -> bool:
        return True

    def _centred(self) -> Float[Array, " D"]:
        return self.log_scale - jnp.mean(self.log_scale)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self.loc + jnp.exp(self._centred()) * x, jnp.zeros((), x.dtype)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return (y - self.loc) * jnp.exp(-self._centred()), jnp.zeros((), y.dtype)


class ActNorm(Bijection):
    """A diagonal affine map that `calibrate` starts so that a batch pulled back through it has mean 0 and variance 1.

    Kingma & Dhariwal, 2018, "Glow: Generative Flow with Invertible 1x1 Convolutions", section 3.1. A dimension that is
    constant in the batch keeps its scale.
    """

    affine: DiagonalAffine

    @staticmethod
    def identity(dim: int) -> "ActNorm":
        """The layer before it has seen data."""
        return ActNorm(DiagonalAffine.identity(dim))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.affine.shape

    @property
    def volume(self) -> Volume:
        return self.affine.volume

    @property
    def increasing(self) -> bool:
        return True

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self.affine.forward_and_log_det(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return self.affine.inverse_and_log_det(y)

    def _calibrate(self, y: Float[Array, "n D"]) -> tuple["ActNorm", Float[Array, "n D"]]:
        spread = jnp.std(y, axis=0)
        log_scale = jnp.where(spread > 0, jnp.log(jnp.where(spread > 0, spread, 1)), self.affine.log_scale)
        calibrated = ActNorm(DiagonalAffine(jnp.mean(y, axis=0), log_scale))
        return calibrated, jax.vmap(calibrated.inverse)(y)
