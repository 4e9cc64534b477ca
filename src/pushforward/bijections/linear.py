"""Linear maps that preserve volume, used to mix the dimensions between coupling layers."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pushforward.bijections.base import Bijection, Scalar, Volume


class Permutation(Bijection):
    """`f(x) = x[indices]`.

    Attributes:
        indices: a permutation of `0 ... D-1`, shape `(D,)`; not trained, but saved with the parameters.
    """

    indices: Int[Array, "... D"]

    @staticmethod
    def init(key: PRNGKeyArray, dim: int) -> "Permutation":
        """A uniformly random permutation."""
        return Permutation(jax.random.permutation(key, dim))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.indices.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return x[self.indices], jnp.zeros((), x.dtype)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return y[jnp.argsort(self.indices)], jnp.zeros((), y.dtype)


class Rotation(Bijection):
    """`f(x) = Q x` with `Q = exp(A - A^T)`, a rotation for every value of the trained `A`.

    Attributes:
        generator: `A`, shape `(D, D)`; only its antisymmetric part acts.
    """

    generator: Float[Array, "... D D"]

    @staticmethod
    def init(key: PRNGKeyArray, dim: int) -> "Rotation":
        """A random rotation: in two dimensions its angle has the standard deviation `pi / 2`."""
        return Rotation(jax.random.normal(key, (dim, dim)) * (jnp.pi / 2) / dim**0.5)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.generator.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    def resolve(self) -> "Orthogonal":
        return Orthogonal(jax.scipy.linalg.expm(self.generator - self.generator.T))

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.resolve().forward_and_log_det(x)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.resolve().inverse_and_log_det(y)


class Orthogonal(Bijection):
    """`f(x) = Q x` for a matrix `Q` that its maker has made orthogonal, shape `(D, D)`."""

    matrix: Float[Array, "... D D"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.matrix.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.matrix @ x, jnp.zeros((), x.dtype)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.matrix.T @ y, jnp.zeros((), y.dtype)
