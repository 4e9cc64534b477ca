"""Sylvester flows: van den Berg et al., 2018, "Sylvester Normalizing Flows for Variational Inference"."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Scalar, Unconstrained, Volume, WithLogDet
from pushforward.bijections.planar import solve_planar
from pushforward.types import PRNGKeyArray


class Sylvester(Unconstrained):
    """`f(z) = z + Q R tanh(S Q^T z + b)`: M planar layers in one, along the first M columns of an orthogonal `Q`.

    `R` and `S` are upper triangular with diagonals `tanh(r)` and `tanh(s)`, so that `1 + R_ii S_ii`, the determinant's
    factor at tanh's steepest, is positive (theorem 2). It is computed as `cosh(r + s) / (cosh r cosh s)`, which cannot
    cancel. With a trained rotation for `Q` it is the orthogonal variant, with reflections the Householder one, with a
    fixed permutation the triangular one. The inverse is M scalar root-finds, one after the other.

    Attributes:
        orthogonal: `Q`, a linear map that preserves volume.
        r: strictly above the diagonal `R`, on it `r`, shape `(M, M)`.
        s: strictly above the diagonal `S`, on it `s`, shape `(M, M)`.
        b: shape `(M,)`.
    """

    orthogonal: Bijection
    r: Float[Array, "*batch M M"]
    s: Float[Array, "*batch M M"]
    b: Float[Array, "*batch M"]

    @staticmethod
    def init(key: PRNGKeyArray, orthogonal: Bijection, rank: int | None = None) -> "Sylvester":
        """A random layer of rank M, D unless given, with entries of variance 1/M.

        Args:
            key: for the random start.
            orthogonal: the map Q, whose columns the layer uses.
            rank: M, the width of the layer; D unless given.

        Raises:
            ValueError: `rank` is not between 1 and D.
        """
        (dim,) = orthogonal.shape
        rank = dim if rank is None else rank
        if not 1 <= rank <= dim:
            raise ValueError(f"rank must be between 1 and {dim}, got {rank}")
        r, s = jax.random.normal(key, (2, rank, rank)) / rank**0.5
        return Sylvester(orthogonal, r, s, jnp.zeros(rank))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.orthogonal.shape

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def resolve(self) -> "ConstrainedSylvester":
        r, s = jnp.diag(self.r), jnp.diag(self.s)
        slope = jnp.exp(_log_2cosh(r + s) - _log_2cosh(r) - _log_2cosh(s)) * 2
        slope = jnp.maximum(slope, jnp.finfo(slope.dtype).tiny)
        upper_r = jnp.triu(self.r, 1) + jnp.diag(jnp.tanh(r))
        upper_s = jnp.triu(self.s, 1) + jnp.diag(jnp.tanh(s))
        return ConstrainedSylvester(self.orthogonal.resolve(), upper_r, upper_s, self.b, slope)


class ConstrainedSylvester(Bijection):
    """A Sylvester layer whose triangles `R` and `S` are known, with `slope_i = 1 + R_ii S_ii > 0`."""

    orthogonal: Bijection
    r: Float[Array, "*batch M M"]
    s: Float[Array, "*batch M M"]
    b: Float[Array, "*batch M"]
    slope: Float[Array, "*batch M"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.orthogonal.shape

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def _project(self, z: Float[Array, " D"]) -> Float[Array, " M"]:
        return self.s @ self.orthogonal.inverse(z)[: len(self.b)] + self.b

    def _shift(self, a: Float[Array, " M"]) -> Float[Array, " D"]:
        (dim,) = self.shape
        return self.orthogonal.forward(jnp.pad(self.r @ a, (0, dim - len(self.b))))

    def _log_det(self, a: Float[Array, " M"]) -> Scalar:
        return jnp.sum(jnp.log(a**2 + (1 - a**2) * self.slope))

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        a = jnp.tanh(self._project(x))
        return x + self._shift(a), self._log_det(a)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        # v = S Q^T z + b solves v + S R tanh(v) = S Q^T f(z) + b, an upper triangular system: from the last row up.
        product = jnp.triu(self.s @ self.r, 1)

        def row(a: Array, row: tuple[Array, Array, Array, Array]) -> tuple[Array, None]:
            index, right, above, slope = row
            v = solve_planar(right - jnp.sum(above * a), slope)
            return a.at[index].set(jnp.tanh(v)), None

        rows = jnp.arange(len(self.b)), self._project(y), product, self.slope
        a, _ = lax.scan(row, jnp.zeros_like(self.b), rows, reverse=True)
        return y - self._shift(a), -self._log_det(a)


def _log_2cosh(x: Array) -> Array:
    return jnp.logaddexp(x, -x)
