"""Residual flows: Behrmann et al., 2019, "Invertible Residual Networks"; Chen et al., 2019, "Residual Flows"."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Scalar, Volume, WithLogDet
from pushforward.nets import LipschitzMLP, NormalisedMLP
from pushforward.probes import Probe
from pushforward.types import PRNGKeyArray

EXACT_TERMS = 4
CONTINUATION = 0.9


class Residual(Bijection):
    """`f(x) = x + g(x)` with a network `g` that shrinks every distance, so that `f` is invertible.

    The log-determinant is exact, from the D x D Jacobian, or, with a `probe`, an unbiased estimate: its power series,
    its trace by one random vector (Hutchinson) and its length by Russian roulette after 4 terms (Chen et al., section
    3.1), with the gradient of the Neumann series (section 3.2). The inverse is the fixed point of `y - g(x)`, reached
    at the rate of the Lipschitz coefficient, with implicit derivatives; in `Inverse` the density is the fast direction.

    Attributes:
        network: `g`.
        probe: of the estimate; None for the exact log-determinant.
    """

    network: LipschitzMLP | NormalisedMLP
    probe: Probe | None = None

    @staticmethod
    def init(
        key: PRNGKeyArray, dim: int, width: int = 64, depth: int = 2, coefficient: float = 0.9, exact: bool = True
    ) -> "Residual":
        """A random layer with `depth` hidden layers of `width` units.

        Args:
            key: for the random start.
            dim: dimensions D.
            width: hidden units of the network.
            depth: hidden layers of the network.
            coefficient: its Lipschitz constant, below 1.
            exact: the log-determinant from the Jacobian, or an unbiased estimate.

        Raises:
            ValueError: `coefficient` is not between 0 and 1.
        """
        key_net, key_probe = jax.random.split(key)
        network = LipschitzMLP.init(key_net, dim, width, depth, coefficient)
        return Residual(network, None if exact else Probe.init(key_probe))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.network.biases[-1].shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def resolve(self) -> "Residual":
        network = self.network.normalised() if isinstance(self.network, LipschitzMLP) else self.network
        return Residual(network, self.probe)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        network = self.resolve().network
        if self.probe is not None:
            return x + network(x), estimate_log_det(network, x, self.probe.key(lax.stop_gradient(x)))
        jacobian = jnp.eye(self.shape[0], dtype=x.dtype) + jax.jacfwd(network)(x)
        return x + network(x), jnp.linalg.slogdet(jacobian)[1]

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        resolved = self.resolve()
        network = resolved.network

        def solve(_: Callable[[Array], Array], start: Array) -> Array:
            return fixed_point(lambda x: y - network(x), start)

        def tangent(jacobian: Callable[[Array], Array], right: Array) -> Array:
            columns = jax.vmap(jacobian, out_axes=1)(jnp.eye(len(right), dtype=right.dtype))
            return jnp.linalg.solve(columns, right)

        x = lax.custom_root(lambda x: x + network(x) - y, y, solve, tangent)
        return x, -resolved.forward_and_log_det(x)[1]


def fixed_point(step: Callable[[Array], Array], start: Float[Array, "..."]) -> Float[Array, "..."]:
    """The fixed point of a contraction: `step` again and again until it moves nothing by more than rounding."""
    tolerance = 4 * jnp.finfo(start.dtype).eps

    def unfinished(carry: tuple[Array, Array, Array]) -> Array:
        x, before, count = carry
        moved = jnp.max(jnp.abs(x - before))
        return ~(moved <= tolerance * (1 + jnp.max(jnp.abs(x)))) & (count < 2000)

    def again(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        x, _, count = carry
        return step(x), x, count + 1

    return lax.while_loop(unfinished, again, (start, jnp.full_like(start, jnp.inf), jnp.zeros((), int)))[0]


def estimate_log_det(network: Callable[[Array], Array], x: Float[Array, " D"], key: PRNGKeyArray) -> Scalar:
    """An unbiased estimate of `log |det(I + dg/dx)|` at one point, whose gradient is an unbiased estimate too."""
    key_vector, key_length = jax.random.split(key)
    vector = jax.random.rademacher(key_vector, x.shape, x.dtype)
    # Terms after the exact ones: each goes on with probability 9/10, so that Lipschitz constants below 0.94 give a
    # finite variance.
    survived = jnp.log(jax.random.uniform(key_length, (), x.dtype, minval=jnp.finfo(x.dtype).tiny))
    extra = jnp.floor(survived / jnp.log(CONTINUATION)).astype(int)

    held = lax.stop_gradient(network)
    _, pull = jax.vjp(held, lax.stop_gradient(x))

    def term(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        index, row, value, neumann = carry
        weight = (-1.0) ** index / CONTINUATION ** jnp.maximum(index - EXACT_TERMS + 1, 0)
        neumann = neumann + weight * row
        (row,) = pull(row)
        return index + 1, row, value + weight / (index + 1) * jnp.sum(row * vector), neumann

    start = jnp.zeros((), int), vector, jnp.zeros((), x.dtype), jnp.zeros_like(vector)
    _, _, value, neumann = lax.while_loop(lambda carry: carry[0] < EXACT_TERMS + extra, term, start)
    # d log det(I + J) = tr((I + J)^-1 dJ), and `neumann` is the series of v^T (I + J)^-1.
    slope = jnp.sum(lax.stop_gradient(neumann) * jax.jvp(network, (x,), (vector,))[1])
    return lax.stop_gradient(value) + slope - lax.stop_gradient(slope)
