"""Planar flows: Rezende & Mohamed, 2015, "Variational Inference with Normalizing Flows", section 4.1 and appendix A."""

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from pushforward.bijections.base import Bijection, Scalar, Unconstrained, Volume, WithLogDet, WithScore
from pushforward.types import PRNGKeyArray

Count = Int[Array, ""]


class Planar(Unconstrained):
    """`f(z) = z + u_hat tanh(w.z + b)`, which stretches or squeezes space across one hyperplane.

    `u_hat = u + (m(w.u) - w.u) w / ||w||^2` with `m(x) = softplus(x) - 1` keeps `w.u_hat > -1`, so that `f` is
    invertible for every value of the parameters (R&M, appendix A.1). The inverse is one scalar root-find a layer.
    With `w = 0`, or next to it, where `u_hat` has no limit, the layer is the translation `z + u tanh(b)`.

    Attributes:
        w: normal of the hyperplane, shape `(D,)`.
        u: direction of the stretch before it is constrained, shape `(D,)`.
        b: offset of the hyperplane, shape `()`.
    """

    w: Float[Array, "*batch D"]
    u: Float[Array, "*batch D"]
    b: Float[Array, "*batch"]

    @staticmethod
    def init(key: PRNGKeyArray, dim: int, initialisation: Literal["xavier", "plain"] = "xavier") -> "Planar":
        """A random layer.

        `"xavier"` draws `w` uniformly so that `w.z` has variance 2/3 in every dimension, which keeps tanh off its
        flat parts at the start; `"plain"` draws `w` and `u` from N(0, I), so that `w.z` grows with the dimension.

        Args:
            key: for the random start.
            dim: dimensions D.
            initialisation: `"xavier"` or `"plain"`.
        """
        key_w, key_u = jax.random.split(key)
        if initialisation == "plain":
            w, u = jax.random.normal(key_w, (dim,)), jax.random.normal(key_u, (dim,))
        else:
            limit = (2 / dim) ** 0.5
            w = jax.random.uniform(key_w, (dim,), minval=-limit, maxval=limit)
            u = jax.random.uniform(key_u, (dim,), minval=-limit, maxval=limit)
        return Planar(w, u, jnp.zeros(()))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.w.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def resolve(self) -> "ConstrainedPlanar":
        # In units of its largest entry the square of w neither overflows nor underflows.
        unit = lax.stop_gradient(jnp.max(jnp.abs(self.w)))
        scale = jnp.where(unit > 0, unit, 1)
        w = self.w / scale
        w_dot_u = jnp.sum(w * self.u) * scale
        # A w so small that w / ||w||^2 is huge counts as 0, unless u is as large as w is small.
        tiny = jnp.finfo(self.w.dtype).tiny
        usable = (unit > tiny**0.25) | ((unit > 2 * tiny**0.5) & (jnp.abs(w_dot_u) > 0.1))
        unit = jnp.where(usable, unit, 1)
        slope = jax.nn.softplus(w_dot_u)
        shift = (slope - 1 - w_dot_u) / (unit * jnp.where(usable, jnp.sum(w**2), 1))
        u_hat = self.u + jnp.where(usable, shift, 0) * w
        slope = jnp.where(usable, jnp.maximum(slope, jnp.finfo(slope.dtype).tiny), 1)
        return ConstrainedPlanar(self.w, u_hat, self.b, slope)


class ConstrainedPlanar(Bijection):
    """A planar layer whose `u_hat` is known, with `slope = 1 + w.u_hat > 0`, the determinant on the hyperplane.

    With `a = tanh(w.z + b)` the determinant is `1 + (1 - a^2) w.u_hat = a^2 + (1 - a^2) slope`; the second form adds
    positive terms only, so that its log is finite where the first one cancels to 0.
    """

    w: Float[Array, "*batch D"]
    u_hat: Float[Array, "*batch D"]
    b: Float[Array, "*batch"]
    slope: Float[Array, "*batch"]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.w.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def _determinant(self, a: Scalar) -> Scalar:
        return a**2 + (1 - a**2) * self.slope

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        a = jnp.tanh(jnp.sum(self.w * x) + self.b)
        return x + self.u_hat * a, jnp.log(self._determinant(a))

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        t = solve_planar(jnp.sum(self.w * y) + self.b, self.slope)
        a = jnp.tanh(t)
        return y - self.u_hat * a, -jnp.log(self._determinant(a))

    def _push_score(self, x: Float[Array, "..."], score: Float[Array, "..."]) -> WithScore:
        a = jnp.tanh(jnp.sum(self.w * x) + self.b)
        determinant = self._determinant(a)
        # J = I + (1 - a^2) u_hat w^T, so J^-T is a rank-one update too (Sherman-Morrison).
        log_det_slope = 2 * a * (1 - a**2) * (1 - self.slope) / determinant
        score = score - log_det_slope * self.w
        score = score - (1 - a**2) * jnp.sum(self.u_hat * score) / determinant * self.w
        return x + self.u_hat * a, jnp.log(determinant), score


@jax.custom_jvp
def solve_planar(r: Scalar, slope: Scalar) -> Scalar:
    """The root `t` of `t + (slope - 1) tanh(t) = r`, with derivatives by the implicit function theorem.

    The left side is odd and increasing, and for `t >= 0` it is concave or convex throughout, so that Newton's method
    from one of the bounds below, which lie on the right side of the root, converges monotonically: no bracket is
    needed, and the first step that goes back, by rounding, is the last.
    """
    target = jnp.abs(r)
    tolerance = 4 * jnp.finfo(target.dtype).eps

    def newton(carry: tuple[Scalar, Scalar, Count]) -> tuple[Scalar, Scalar, Count]:
        t, _, count = carry
        a = jnp.tanh(t)
        change = (_excess(t) + slope * a - target) / (a**2 + (1 - a**2) * slope)
        return jnp.maximum(t - change, 0), jnp.where(slope > 1, -change, change), count + 1

    def unfinished(carry: tuple[Scalar, Scalar, Count]) -> Array:
        t, progress, count = carry
        return (progress > tolerance * t) & (count < 100)

    chord, tangent, cubic = target + 1 - slope, target / slope, jnp.cbrt(5 * target)
    convex = jnp.minimum(jnp.minimum(chord, tangent), jnp.where(cubic < 1, cubic, jnp.inf))
    start = jnp.where(slope > 1, jnp.maximum(chord, tangent), convex)
    t, _, _ = lax.while_loop(unfinished, newton, (start, jnp.full_like(start, jnp.inf), jnp.zeros((), int)))
    return jnp.copysign(t, r)


def _excess(t: Scalar) -> Scalar:
    """`t - tanh(t)` for `t >= 0`, by its series where the difference would cancel."""
    squared = t**2
    series = t * squared * (1 / 3 - squared * (2 / 15 - squared * (17 / 315 - squared * (62 / 2835))))
    return jnp.where(t < 0.05, series, t - jnp.tanh(t))


@solve_planar.defjvp
def _(primals: tuple[Scalar, Scalar], tangents: tuple[Scalar, Scalar]) -> tuple[Scalar, Scalar]:
    r, slope = primals
    r_dot, slope_dot = tangents
    t = solve_planar(r, slope)
    a = jnp.tanh(t)
    return t, (r_dot - a * slope_dot) / (a**2 + (1 - a**2) * slope)
