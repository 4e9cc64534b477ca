"""Linear maps, used to mix the dimensions between other layers."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float, Int

from pushforward.bijections.base import Bijection, Unconstrained, Volume, WithLogDet
from pushforward.border import concrete
from pushforward.types import PRNGKeyArray


class Permutation(Bijection):
    """`f(x) = x[indices]`.

    Attributes:
        indices: a permutation of `0 ... D-1`, shape `(D,)`; not trained, but saved with the parameters.

    Raises:
        ValueError: it is none.
    """

    indices: Int[Array, "*batch D"]

    @staticmethod
    def init(key: PRNGKeyArray, dim: int) -> "Permutation":
        """A random permutation; where the draw is the identity, which mixes nothing, the cyclic shift.

        Args:
            key: for the order.
            dim: dimensions D.
        """
        order = jnp.arange(dim)
        drawn = jax.random.permutation(key, dim)
        return Permutation(jnp.where(jnp.all(drawn == order), jnp.roll(order, 1), drawn))

    @staticmethod
    def reverse(dim: int) -> "Permutation":
        """The dimensions in reverse order."""
        return Permutation(jnp.arange(dim)[::-1])

    def __check_init__(self) -> None:
        super().__check_init__()
        if concrete(self.indices) and np.any(np.sort(self.indices, -1) != np.arange(self.indices.shape[-1])):
            raise ValueError(f"each of 0 ... {self.indices.shape[-1] - 1} must appear once, got {self.indices}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.indices.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    @property
    def increasing(self) -> bool:
        return True

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return _permuted(x, self.indices, jnp.argsort(self.indices)), jnp.zeros((), x.dtype)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return _permuted(y, jnp.argsort(self.indices), self.indices), jnp.zeros((), y.dtype)


def _permuted(x: Float[Array, " D"], indices: Int[Array, " D"], inverse: Int[Array, " D"]) -> Float[Array, " D"]:
    """`x[indices]` as the `y` of `y[inverse] = x`: its transpose gathers too, where that of indexing would scatter."""
    return lax.custom_linear_solve(
        lambda y: y[inverse], x, lambda _, x: _taken(x, indices), transpose_solve=lambda _, x: _taken(x, inverse)
    )


def _taken(x: Float[Array, " D"], indices: Int[Array, " D"]) -> Float[Array, " D"]:
    """`x[indices]` by indices of each row's own: those that rows share make `vmap` take columns and turn the batch."""
    return x[indices + 0 * jnp.isnan(x)]


class Orthogonal(Bijection):
    """`f(x) = Q x` for a matrix `Q` that its maker has made orthogonal, shape `(D, D)`."""

    matrix: Float[Array, "*batch D D"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.matrix.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self.matrix @ x, jnp.zeros((), x.dtype)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return self.matrix.T @ y, jnp.zeros((), y.dtype)


class Rotation(Unconstrained):
    """`f(x) = Q x` with Cayley's `Q = (I + A - A^T)^-1 (I - A + A^T)`, a rotation for every value of the trained `A`.

    Every rotation that turns no plane by exactly half a turn is one of them.

    Attributes:
        generator: `A`, shape `(D, D)`; only its antisymmetric part acts.
    """

    generator: Float[Array, "*batch D D"]

    @staticmethod
    def init(key: PRNGKeyArray, dim: int) -> "Rotation":
        """A random rotation; in two dimensions by some 80 degrees either way.

        Args:
            key: for the random start.
            dim: dimensions D.
        """
        return Rotation(jax.random.normal(key, (dim, dim)) / dim**0.5)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.generator.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    def resolve(self) -> Orthogonal:
        antisymmetric = self.generator - self.generator.T
        identity = jnp.eye(self.shape[0], dtype=self.generator.dtype)
        return Orthogonal(jnp.linalg.solve(identity + antisymmetric, identity - antisymmetric))


class Householder(Unconstrained):
    """`f(x) = H_1 ... H_n x`, reflections `H = I - 2 v v^T / ||v||^2`; D of them, or D-1, reach every rotation.

    Tomczak & Welling, 2016, "Improving variational auto-encoders using Householder flow". Where `v` is 0, and `H` has
    no limit, it is left out.

    Attributes:
        vectors: the normals `v`, shape `(n, D)`.
    """

    vectors: Float[Array, "*batch n D"]

    @staticmethod
    def init(key: PRNGKeyArray, dim: int, reflections: int | None = None) -> "Householder":
        """Random reflections, D of them unless given.

        Args:
            key: for the random start.
            dim: dimensions D.
            reflections: how many; as many as dimensions unless given.
        """
        return Householder(jax.random.normal(key, (dim if reflections is None else reflections, dim)))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.vectors.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    def resolve(self) -> Orthogonal:
        def reflect(matrix: Array, v: Array) -> tuple[Array, None]:
            squared = jnp.sum(v**2)
            usable = squared > jnp.finfo(v.dtype).tiny ** 0.5
            scale = jnp.where(usable, 2 / jnp.where(usable, squared, 1), 0)
            return matrix - scale * jnp.outer(v, v @ matrix), None

        identity = jnp.eye(self.shape[0], dtype=self.vectors.dtype)
        return Orthogonal(jax.lax.scan(reflect, identity, self.vectors, reverse=True)[0])


class LULinear(Unconstrained):
    """`f(x) = L U x[indices]`, an invertible matrix with a fixed permutation: the log-determinant is a sum.

    Kingma & Dhariwal, 2018, "Glow: Generative Flow with Invertible 1x1 Convolutions", section 3.2. In `Pointwise` it is
    the invertible 1x1 convolution.

    Attributes:
        triangles: shape `(D, D)`: below the diagonal that of `L`, whose diagonal is 1; above it that of `U`.
        log_diagonal: logs of the diagonal of `U`, shape `(D,)`.
        permutation: fixed.
    """

    triangles: Float[Array, "*batch D D"]
    log_diagonal: Float[Array, "*batch D"]
    permutation: Permutation

    @staticmethod
    def init(key: PRNGKeyArray, dim: int) -> "LULinear":
        """A random permutation, which training turns into any matrix near it.

        Args:
            key: for the random start.
            dim: dimensions D.
        """
        return LULinear(jnp.zeros((dim, dim)), jnp.zeros(dim), Permutation.init(key, dim))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.log_diagonal.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.CONSTANT

    def resolve(self) -> "InvertedLinear":
        dim, dtype = self.shape[0], self.triangles.dtype
        identity = jnp.eye(dim, dtype=dtype)
        lower = jnp.tril(self.triangles, -1) + identity
        upper = jnp.triu(self.triangles, 1) + jnp.diag(jnp.exp(self.log_diagonal))
        solved = solve_triangular(upper, solve_triangular(lower, identity, lower=True, unit_diagonal=True))
        back = jnp.argsort(self.permutation.indices)
        return InvertedLinear((lower @ upper)[:, back], solved[back], jnp.sum(self.log_diagonal))


class TriangularAffine(Bijection):
    """`f(x) = loc + L x` for a lower triangle L with a positive diagonal: of `N(0, I)` it makes any Normal.

    Attributes:
        loc: shape `(D,)`.
        below: shape `(D, D)`; what lies on and above the diagonal is ignored.
        log_diagonal: shape `(D,)`.
    """

    loc: Float[Array, "*batch D"]
    below: Float[Array, "*batch D D"]
    log_diagonal: Float[Array, "*batch D"]

    @staticmethod
    def identity(dim: int) -> "TriangularAffine":
        """The layer that does nothing yet."""
        return TriangularAffine(jnp.zeros(dim), jnp.zeros((dim, dim)), jnp.zeros(dim))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.CONSTANT

    def _factor(self) -> Array:
        return jnp.tril(self.below, -1) + jnp.diag(jnp.exp(self.log_diagonal))

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self.loc + self._factor() @ x, jnp.sum(self.log_diagonal)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return solve_triangular(self._factor(), y - self.loc, lower=True), -jnp.sum(self.log_diagonal)


class InvertedLinear(Bijection):
    """`f(x) = A x` for a matrix whose inverse and log-determinant are known: both directions are a product."""

    matrix: Float[Array, "*batch D D"]
    inverse_matrix: Float[Array, "*batch D D"]
    log_det: Float[Array, "*batch"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.matrix.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.CONSTANT

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self.matrix @ x, self.log_det

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return self.inverse_matrix @ y, -self.log_det
