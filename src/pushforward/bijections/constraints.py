"""Bijections from R^k onto the sets that parameters of models live in: ordered vectors, simplices, and the like.

Where the set has fewer dimensions than numbers, the log-determinant is that of the map onto free numbers of it, named
in each class: densities of such parameters are densities of these.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Volume, WithLogDet


class _OfVectors(Bijection):
    """A map of the vectors along the last axis; the axes before it are a batch.

    Raises:
        ValueError: the vectors are too short.
    """

    event_shape: tuple[int, ...] = eqx.field(static=True)

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.event_shape

    @property
    def volume(self) -> Volume:
        return Volume.VARYING


class Ordered(_OfVectors):
    """`y_1 = x_1`, `y_i = y_{i-1} + exp(x_i)`: onto increasing vectors.

    Attributes:
        event_shape: `(*batch, k)`.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        return self.event_shape

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        steps = jnp.concatenate([x[..., :1], jnp.exp(x[..., 1:])], axis=-1)
        return jnp.cumsum(steps, axis=-1), jnp.sum(x[..., 1:])

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        logs = jnp.log(jnp.diff(y, axis=-1))
        return jnp.concatenate([y[..., :1], logs], axis=-1), -jnp.sum(logs)


class StickBreaking(_OfVectors):
    """Onto the simplex: of what is left of a stick of length 1, each takes the share `sigmoid(x_i - log(k - i))`.

    With `x` 0 all are equal. The log-determinant is that of the first k - 1 numbers (Stan reference manual, "Unit
    simplex").

    Attributes:
        event_shape: `(*batch, k)`, of the simplices.
    """

    def __check_init__(self) -> None:
        if not self.event_shape or self.event_shape[-1] < 2:
            raise ValueError(f"a simplex has at least 2 numbers, got the shape {self.event_shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.event_shape[:-1], self.event_shape[-1] - 1)

    def _offsets(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.broadcast_to(jnp.log(jnp.arange(self.event_shape[-1] - 1, 0, -1).astype(x.dtype)), self.shape)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        logits = x - self._offsets(x)
        log_share, log_rest = jax.nn.log_sigmoid(logits), jax.nn.log_sigmoid(-logits)
        log_left = jnp.cumsum(log_rest, axis=-1)
        before = jnp.concatenate([jnp.zeros_like(log_left[..., :1]), log_left[..., :-1]], axis=-1)
        y = jnp.exp(jnp.concatenate([before + log_share, log_left[..., -1:]], axis=-1))
        return y, jnp.sum(log_share + log_rest + before)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        after = jnp.flip(jnp.cumsum(jnp.flip(y[..., 1:], axis=-1), axis=-1), axis=-1)
        x = jnp.log(y[..., :-1]) - jnp.log(after) + self._offsets(y)
        return x, -self._forward_and_log_det(x)[1]


class CorrelationCholesky(_OfVectors):
    """Onto Cholesky factors of k x k correlation matrices, from the partial correlations `tanh(x)`, row by row.

    The log-determinant is that of the numbers below the diagonal (Lewandowski, Kurowicka & Joe, 2009, "Generating
    random correlation matrices based on vines and extended onion method").

    Attributes:
        event_shape: `(*batch, k, k)`.
    """

    def __check_init__(self) -> None:
        if len(self.event_shape) < 2 or self.event_shape[-1] != self.event_shape[-2] or self.event_shape[-1] < 2:
            raise ValueError(f"a correlation matrix is square, 2 x 2 at least, got the shape {self.event_shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        k = self.event_shape[-1]
        return (*self.event_shape[:-2], k * (k - 1) // 2)

    def _below(self) -> tuple[Array, Array]:
        rows, columns = jnp.tril_indices(self.event_shape[-1], -1)
        return rows, columns

    def _square(self, numbers: Float[Array, "..."]) -> Float[Array, "..."]:
        """Numbers below the diagonal of matrices, whose rest is 0."""
        return jnp.zeros(self.event_shape, numbers.dtype).at[(..., *self._below())].set(numbers)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        # log(1 - tanh(x)^2), which stays exact where the tangent is 1.
        log_rest = 2 * (math.log(2) - x - jax.nn.softplus(-2 * x))
        left = jnp.cumsum(self._square(log_rest), axis=-1)
        before = jnp.concatenate([jnp.zeros_like(left[..., :1]), left[..., :-1]], axis=-1)
        diagonal = jnp.broadcast_to(jnp.eye(self.event_shape[-1], dtype=x.dtype), self.event_shape)
        partial = self._square(jnp.tanh(x)) + diagonal
        log_det = jnp.sum(log_rest) + jnp.sum(before[(..., *self._below())]) / 2
        return partial * jnp.exp(before / 2), log_det

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        # What is left of the unit length of a row, from its end: no difference of numbers near 1.
        squares = jnp.flip(jnp.cumsum(jnp.flip(y**2, axis=-1), axis=-1), axis=-1)
        after = jnp.concatenate([squares[..., 1:], jnp.zeros_like(squares[..., :1])], axis=-1)[(..., *self._below())]
        x = jnp.arcsinh(y[(..., *self._below())] / jnp.sqrt(after))
        return x, -self._forward_and_log_det(x)[1]


class Stereographic(_OfVectors):
    """Onto unit vectors, all but one: `(2 x, |x|^2 - 1) / (|x|^2 + 1)`.

    The log-determinant is that of the surface measure of the sphere.

    Attributes:
        event_shape: `(*batch, k)`, of the unit vectors.
    """

    def __check_init__(self) -> None:
        if not self.event_shape or self.event_shape[-1] < 2:
            raise ValueError(f"a unit vector has at least 2 numbers, got the shape {self.event_shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.event_shape[:-1], self.event_shape[-1] - 1)

    def _log_det(self, x: Float[Array, "..."]) -> Float[Array, ""]:
        return x.shape[-1] * jnp.sum(math.log(2) - jnp.log1p(jnp.sum(x**2, axis=-1)))

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        square = jnp.sum(x**2, axis=-1, keepdims=True)
        return jnp.concatenate([2 * x, square - 1], axis=-1) / (square + 1), self._log_det(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        x = y[..., :-1] / (1 - y[..., -1:])
        return x, -self._log_det(x)
