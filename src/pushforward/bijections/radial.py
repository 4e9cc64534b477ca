"""Radial flows: Rezende & Mohamed, 2015, "Variational Inference with Normalizing Flows", section 4.1 and appendix A."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Scalar, Unconstrained, Volume, WithLogDet
from pushforward.safe import safe_norm
from pushforward.types import PRNGKeyArray


class Radial(Unconstrained):
    """`f(z) = z + beta (z - z0) / (alpha + r)` with `r = ||z - z0||`, which swells or shrinks space around one point.

    `alpha = softplus(raw_alpha) > 0` and `alpha + beta = softplus(raw_beta) > 0` keep `f` invertible for every value
    of the parameters (R&M, appendix A.2). The inverse is closed: `r` solves a quadratic.

    Attributes:
        z0: centre, shape `(D,)`.
        raw_alpha: reach of the layer before it is constrained, shape `()`.
        raw_beta: strength of the layer before it is constrained, shape `()`; equal to `raw_alpha` it is the identity.
    """

    z0: Float[Array, "*batch D"]
    raw_alpha: Float[Array, "*batch"]
    raw_beta: Float[Array, "*batch"]

    @staticmethod
    def init(key: PRNGKeyArray, dim: int) -> "Radial":
        """A random layer: the centre from N(0, I), reach and strength near `softplus(0)`.

        Args:
            key: for the random start.
            dim: dimensions D.
        """
        key_z0, key_alpha, key_beta = jax.random.split(key, 3)
        return Radial(
            jax.random.normal(key_z0, (dim,)),
            jax.random.uniform(key_alpha, minval=-1, maxval=1),
            jax.random.uniform(key_beta, minval=-1, maxval=1),
        )

    @property
    def shape(self) -> tuple[int, ...]:
        return self.z0.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def resolve(self) -> "ConstrainedRadial":
        tiny = jnp.finfo(self.raw_alpha.dtype).tiny
        alpha, total = jnp.maximum(jax.nn.softplus(jnp.stack([self.raw_alpha, self.raw_beta])), tiny)
        return ConstrainedRadial(self.z0, alpha, total)


class ConstrainedRadial(Bijection):
    """A radial layer with `alpha > 0` and `total = alpha + beta > 0` known.

    With `s = r / (alpha + r)` the layer scales `z - z0` by `scale = s + total / (alpha + r)`, and its determinant is
    `scale^(D-1) (s (1 + alpha / (alpha + r)) + total alpha / (alpha + r)^2)`: positive terms only.
    """

    z0: Float[Array, "*batch D"]
    alpha: Float[Array, "*batch"]
    total: Float[Array, "*batch"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.z0.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def _scale_and_log_det(self, r: Scalar) -> tuple[Scalar, Scalar]:
        reach = self.alpha + r
        outside, inside = r / reach, self.alpha / reach
        scale = outside + self.total / reach
        along = outside * (1 + inside) + inside * (self.total / reach)
        return scale, (self.z0.shape[-1] - 1) * jnp.log(scale) + jnp.log(along)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        offset = x - self.z0
        scale, log_det = self._scale_and_log_det(safe_norm(offset))
        return self.z0 + scale * offset, log_det

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        offset = y - self.z0
        # r (r + total) = rho (r + alpha), of which the positive root is taken in the form that does not cancel.
        rho = safe_norm(offset)
        half = (rho - self.total) / 2
        at_centre = rho == 0
        unit = jnp.where(rho > 1e9, lax.stop_gradient(rho), 1)  # Far out the square of `half` overflows.
        inner = (half / unit) ** 2 + (rho / unit) * (self.alpha / unit)
        root = unit * jnp.sqrt(jnp.where(at_centre, 1, inner))
        r = jnp.where(half > 0, half + root, rho * (self.alpha / jnp.where(half > 0, 1, root - half)))
        r = jnp.where(at_centre, 0, r)
        scale, log_det = self._scale_and_log_det(r)
        return self.z0 + offset / scale, -log_det
