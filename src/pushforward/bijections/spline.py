"""Monotone rational-quadratic splines: Durkan et al., 2019, "Neural Spline Flows"."""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pushforward.bijections.base import Bijection, Volume, WithLogDet
from pushforward.bijections.circle import turned, wrap
from pushforward.boxes import Box

LEAST_SIZE = 1e-3
LEAST_SLOPE = 1e-3
# softplus of it is 1 - LEAST_SLOPE: raw slopes of 0 are slopes of 1.
SLOPE_SHIFT = math.log(math.expm1(1 - LEAST_SLOPE))


class Knots(NamedTuple):
    """Sizes of the K bins and right edges of them, `(D, K)` each, and slopes before softplus, `(D, K + 1)`."""

    widths: Float[Array, "D K"]
    heights: Float[Array, "D K"]
    x: Float[Array, "D K"]
    y: Float[Array, "D K"]
    raw_slopes: Float[Array, "D ends"]


class Spline(Bijection):
    """A monotone rational-quadratic spline on `[-bound, bound]` and the identity outside, elementwise.

    With every parameter 0 it is the identity. No bin is narrower or lower than 1/1000 of the whole, and no slope
    smaller than 1/1000.

    Attributes:
        raw_widths: widths of the K bins before softmax, shape `(D, K)`.
        raw_heights: their heights before softmax, shape `(D, K)`.
        raw_slopes: slopes at the K-1 inner knots before softplus, shape `(D, K-1)`; at the ends they are 1.
        bound: where the tails begin.

    Raises:
        ValueError: the shapes disagree, there are 1,000 bins or more, or the bound is not positive and finite.
    """

    raw_widths: Float[Array, "*batch D K"]
    raw_heights: Float[Array, "*batch D K"]
    raw_slopes: Float[Array, "*batch D K-1"]
    bound: float = eqx.field(static=True, default=5.0)

    def __check_init__(self) -> None:
        refuse_bins(self.raw_widths.shape[-1])
        refuse_bound(self.bound)

    @staticmethod
    def identity(dim: int, bins: int = 8, bound: float = 5.0) -> "Spline":
        """The spline that does nothing yet.

        Args:
            dim: dimensions D.
            bins: bins of each spline.
            bound: where the linear tails begin.
        """
        refuse_bins(bins)
        return Spline(jnp.zeros((dim, bins)), jnp.zeros((dim, bins)), jnp.zeros((dim, bins - 1)), bound)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.raw_widths.shape[-2:-1]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    @property
    def increasing(self) -> bool:
        return True

    def _knots(self) -> Knots:
        return _knots(self.raw_widths, self.raw_heights, jnp.pad(self.raw_slopes, ((0, 0), (1, 1))), self.bound)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        inside = jnp.abs(x) < self.bound
        y, log_slope = spline_forward(jnp.where(inside, x, 0), self._knots())
        return jnp.where(inside, y, x), jnp.sum(jnp.where(inside, log_slope, 0))

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        inside = jnp.abs(y) < self.bound
        x, log_slope = spline_inverse(jnp.where(inside, y, 0), self._knots())
        return jnp.where(inside, x, y), -jnp.sum(jnp.where(inside, log_slope, 0))


class CircularSpline(Bijection):
    """A monotone rational-quadratic spline from the circle `[-pi, pi)` to itself, elementwise, followed by a turn.

    Rezende et al., 2020, "Normalizing Flows on Tori and Spheres", section 2.1.1: the slope is the same at both ends.
    Angles outside are taken modulo 2 pi. With every parameter 0 it is the identity.

    Attributes:
        raw_widths: widths of the K bins before softmax, shape `(D, K)`.
        raw_heights: their heights before softmax, shape `(D, K)`.
        raw_slopes: slopes at the K knots before softplus, shape `(D, K)`.
        turn: angle added in the end, shape `(D,)`.

    Raises:
        ValueError: the shapes disagree, or there are 1,000 bins or more.
    """

    raw_widths: Float[Array, "*batch D K"]
    raw_heights: Float[Array, "*batch D K"]
    raw_slopes: Float[Array, "*batch D K"]
    turn: Float[Array, "*batch D"]

    def __check_init__(self) -> None:
        refuse_bins(self.raw_widths.shape[-1])

    @staticmethod
    def identity(dim: int, bins: int = 8) -> "CircularSpline":
        """The spline that does nothing yet.

        Args:
            dim: angles D.
            bins: bins of each spline.
        """
        return CircularSpline(jnp.zeros((dim, bins)), jnp.zeros((dim, bins)), jnp.zeros((dim, bins)), jnp.zeros(dim))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.turn.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def _image(self, box: Box) -> Box:
        return Box.between(-math.pi, math.pi, self.shape)

    def _preimage(self, box: Box) -> Box:
        return Box.between(-math.pi, math.pi, self.shape)

    def _knots(self) -> Knots:
        ends = jnp.concatenate([self.raw_slopes, self.raw_slopes[:, :1]], axis=-1)
        return _knots(self.raw_widths, self.raw_heights, ends, math.pi)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        y, log_slope = spline_forward(wrap(x), self._knots())
        return wrap(y + self.turn), jnp.sum(log_slope)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        x, log_slope = spline_inverse(wrap(y - self.turn), self._knots())
        return wrap(x), -jnp.sum(log_slope)


class MixedSpline(Bijection):
    """Circular splines of angles beside splines with linear tails of real numbers, elementwise.

    An angle is moved as by `CircularSpline`, a real number as by `Spline`, then scaled and shifted.

    Attributes:
        raw_widths: widths of the K bins before softmax, shape `(D, K)`.
        raw_heights: their heights before softmax, shape `(D, K)`.
        raw_slopes: slopes at the left ends of the bins before softplus, shape `(D, K)`; the first of a real number is
            not used: its slope is 1 there.
        shift: added in the end, shape `(D,)`: the turn of an angle.
        log_scale: of what the spline of a real number gives, shape `(D,)`; that of an angle is not used.
        periodic: whether each number is an angle, shape `(D,)`; not trained, but saved with the parameters.
        bound: where the tails of the real numbers begin.

    Raises:
        ValueError: the shapes disagree, there are 1,000 bins or more, or the bound is not positive and finite.
    """

    raw_widths: Float[Array, "*batch D K"]
    raw_heights: Float[Array, "*batch D K"]
    raw_slopes: Float[Array, "*batch D K"]
    shift: Float[Array, "*batch D"]
    log_scale: Float[Array, "*batch D"]
    periodic: Bool[Array, "*batch D"]
    bound: float = eqx.field(static=True, default=5.0)

    def __check_init__(self) -> None:
        refuse_bins(self.raw_widths.shape[-1])
        refuse_bound(self.bound)

    @staticmethod
    def identity(periodic: Bool[Array, " D"], bins: int = 8, bound: float = 5.0) -> "MixedSpline":
        """The spline that does nothing yet.

        Args:
            periodic: whether each number is an angle, shape `(D,)`.
            bins: bins of each spline.
            bound: where the linear tails begin.
        """
        refuse_bins(bins)
        raw, ends = jnp.zeros((len(periodic), bins)), jnp.zeros(len(periodic))
        return MixedSpline(raw, raw, raw, ends, ends, jnp.asarray(periodic), bound)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.shift.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def _image(self, box: Box) -> Box:
        return turned(Box.whole(self.shape), self.periodic)

    def _preimage(self, box: Box) -> Box:
        return turned(Box.whole(self.shape), self.periodic)

    def _knots(self) -> Knots:
        first = jnp.where(self.periodic[:, None], self.raw_slopes[:, :1], 0)
        ends = jnp.concatenate([first, self.raw_slopes[:, 1:], first], axis=-1)
        bound = jnp.where(self.periodic, jnp.asarray(math.pi, first.dtype), self.bound)
        return _knots(self.raw_widths, self.raw_heights, ends, bound[:, None])

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        inside = self.periodic | (jnp.abs(x) < self.bound)
        y, log_slope = spline_forward(jnp.where(self.periodic, wrap(x), jnp.where(inside, x, 0)), self._knots())
        log_scale = jnp.where(self.periodic, 0, self.log_scale)
        moved = jnp.exp(log_scale) * jnp.where(inside, y, x) + self.shift
        return jnp.where(self.periodic, wrap(moved), moved), jnp.sum(jnp.where(inside, log_slope, 0) + log_scale)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        log_scale = jnp.where(self.periodic, 0, self.log_scale)
        y = (y - self.shift) * jnp.exp(-log_scale)
        inside = self.periodic | (jnp.abs(y) < self.bound)
        x, log_slope = spline_inverse(jnp.where(self.periodic, wrap(y), jnp.where(inside, y, 0)), self._knots())
        moved = jnp.where(self.periodic, wrap(x), jnp.where(inside, x, y))
        return moved, -jnp.sum(jnp.where(inside, log_slope, 0) + log_scale)


def refuse_bound(bound: float) -> None:
    """Refuse tails that begin nowhere.

    Raises:
        ValueError: the bound is not positive and finite.
    """
    if not 0 < bound < math.inf:
        raise ValueError(f"the bound must be positive and finite, got {bound}")


def refuse_bins(bins: int) -> None:
    """Refuse bins whose least sizes together are more than the whole.

    Raises:
        ValueError: there is none, or they are 1,000 or more.
    """
    if not 0 < bins < 1 / LEAST_SIZE:
        raise ValueError(f"a spline has 1 to {math.ceil(1 / LEAST_SIZE) - 1} bins, got {bins}")


def spline_forward(x: Float[Array, " D"], knots: Knots) -> tuple[Float[Array, " D"], Float[Array, " D"]]:
    """The spline at `x` inside its knots, and the log of its slope there (Durkan et al., equations 4 and 5).

    Every denominator is written as a sum of positive terms.
    """
    x0, y0, width, height, slope0, slope1 = _bin(x, knots.x, knots)
    t = _in_bin((x - x0) / width)
    chord = height / width
    across = t * (1 - t)
    denominator = chord * (t**2 + (1 - t) ** 2) + (slope0 + slope1) * across
    y = y0 + height * (chord * t**2 + slope0 * across) / denominator
    return y, _log_slope(t, chord, slope0, slope1, denominator)


def spline_inverse(y: Float[Array, " D"], knots: Knots) -> tuple[Float[Array, " D"], Float[Array, " D"]]:
    """The inverse of the spline at `y` inside its knots, and the log of the spline's slope there (equations 6 to 8)."""
    x0, y0, width, height, slope0, slope1 = _bin(y, knots.y, knots)
    s = _in_bin((y - y0) / height)
    chord = height / width
    bend = slope0 + slope1 - 2 * chord
    b = slope0 - s * bend
    root = jnp.sqrt(jnp.maximum(b**2 + 4 * chord * s * (chord - b), jnp.finfo(y.dtype).tiny))
    # Of the two forms of the solution the one that does not cancel.
    positive = b > 0
    t = _in_bin(
        jnp.where(
            positive,
            2 * chord * s / jnp.where(positive, b + root, 1),
            (root - b) / (2 * jnp.where(positive, 1, chord - b)),
        )
    )
    denominator = chord * (t**2 + (1 - t) ** 2) + (slope0 + slope1) * t * (1 - t)
    return x0 + width * t, _log_slope(t, chord, slope0, slope1, denominator)


def _in_bin(t: Array) -> Array:
    """A place within a bin, which rounding puts outside of it at some knots; the gradient stays."""
    return t + jax.lax.stop_gradient(jnp.clip(t, 0, 1) - t)


def _log_slope(t: Array, chord: Array, slope0: Array, slope1: Array, denominator: Array) -> Array:
    numerator = slope1 * t**2 + 2 * chord * t * (1 - t) + slope0 * (1 - t) ** 2
    return 2 * jnp.log(chord / denominator) + jnp.log(numerator)


def _knots(raw_widths: Array, raw_heights: Array, raw_slopes: Array, bound: float | Array) -> Knots:
    widths, heights = _sizes(raw_widths, bound), _sizes(raw_heights, bound)
    return Knots(widths, heights, jnp.cumsum(widths, -1) - bound, jnp.cumsum(heights, -1) - bound, raw_slopes)


def _sizes(raw: Float[Array, "D K"], bound: float | Array) -> Float[Array, "D K"]:
    return 2 * bound * (LEAST_SIZE + (1 - LEAST_SIZE * raw.shape[-1]) * jax.nn.softmax(raw, axis=-1))


def _bin(x: Float[Array, " D"], edges: Float[Array, "D K"], knots: Knots) -> tuple[Array, ...]:
    """Of the bin that `x` lies in: its corner, width, height, and the slopes at its two ends."""
    index = jnp.sum(x[:, None] >= edges[:, :-1], axis=-1, keepdims=True)

    def at(values: Array, index: Array = index) -> Array:
        return jnp.take_along_axis(values, index, axis=-1)[:, 0]

    def slope(index: Array) -> Array:
        return LEAST_SLOPE + jax.nn.softplus(at(knots.raw_slopes, index) + SLOPE_SHIFT)

    width, height = at(knots.widths), at(knots.heights)
    return at(knots.x) - width, at(knots.y) - height, width, height, slope(index), slope(index + 1)
