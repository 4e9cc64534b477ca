"""Transformers: what turns the numbers that a network emits into an elementwise bijection.

A coupling or autoregressive layer is a network and a transformer. A transformer is a function from parameters,
`(D, size)`, to a bijection of shape `(D,)`.
"""

import math
from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from pushforward.bijections.affine import DiagonalAffine, Translation, VolumePreservingAffine
from pushforward.bijections.base import Bijection, Volume
from pushforward.bijections.circle import turned
from pushforward.bijections.sigmoidal import DeepSigmoidal
from pushforward.bijections.spline import CircularSpline, MixedSpline, Spline, refuse_bins, refuse_bound
from pushforward.boxes import Box


class Transformer(eqx.Module):
    """A family of elementwise bijections."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Parameters a dimension."""

    @property
    def volume(self) -> Volume:
        """That of a layer whose network emits the parameters."""
        return Volume.VARYING

    @property
    def elementwise(self) -> bool:
        """Whether each output depends on its own input and parameters only."""
        return True

    def image(self, box: Box) -> Box:
        """The smallest box known to hold what any bijection of the family, or its inverse, makes of a box."""
        return Box.whole(box.low.shape)

    def of_dimension(self, index: Int[Array, ""]) -> "Transformer":
        """What does to one dimension, `(1, size)`, what this one does to all."""
        return self

    @abstractmethod
    def __call__(self, parameters: Float[Array, "D size"]) -> Bijection:
        """The bijection, of shape `(D,)`; with all parameters 0 it is the identity or close to it."""


class Additive(Transformer):
    """`x + t`: volume preserving."""

    @property
    def size(self) -> int:
        return 1

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    def __call__(self, parameters: Float[Array, "D size"]) -> Translation:
        return Translation(parameters[:, 0])


class Affine(Transformer):
    """`t + exp(s) x` with `s = scale a / (1 + |a|)`: bounded by a trained scale, as Real NVP's is through tanh.

    Attributes:
        scale: the largest size of `s`, shape `()`.
    """

    scale: Float[Array, "*batch"]

    @staticmethod
    def init(scale: float = 2.0) -> "Affine":
        """Scales between `exp(-scale)` and `exp(scale)` at the start."""
        return Affine(jnp.asarray(scale, jnp.result_type(float)))

    @property
    def size(self) -> int:
        return 2

    def __call__(self, parameters: Float[Array, "D size"]) -> DiagonalAffine:
        return DiagonalAffine(parameters[:, 0], self.scale * _squash(parameters[:, 1]))


class AffineVolumePreserving(Transformer):
    """`Affine` with the mean of `s` over the dimensions taken away, so that the scales sum to zero.

    Attributes:
        scale: the largest size of `s` before, shape `()`.
    """

    scale: Float[Array, "*batch"]

    @staticmethod
    def init(scale: float = 2.0) -> "AffineVolumePreserving":
        """Scales between `exp(-2 scale)` and `exp(2 scale)` at the start."""
        return AffineVolumePreserving(jnp.asarray(scale, jnp.result_type(float)))

    @property
    def size(self) -> int:
        return 2

    @property
    def volume(self) -> Volume:
        return Volume.PRESERVING

    @property
    def elementwise(self) -> bool:
        return False

    def __call__(self, parameters: Float[Array, "D size"]) -> VolumePreservingAffine:
        return VolumePreservingAffine(parameters[:, 0], self.scale * _squash(parameters[:, 1]))


class RationalQuadratic(Transformer):
    """A monotone rational-quadratic spline on `[-bound, bound]`, the identity outside."""

    bins: int = eqx.field(static=True, default=8)
    bound: float = eqx.field(static=True, default=5.0)

    def __check_init__(self) -> None:
        Spline.identity(1, self.bins, self.bound)

    @property
    def size(self) -> int:
        return 3 * self.bins - 1

    def image(self, box: Box) -> Box:
        return Box(jnp.minimum(box.low, -self.bound), jnp.maximum(box.high, self.bound))

    def __call__(self, parameters: Float[Array, "D size"]) -> Spline:
        widths, heights, slopes = jnp.split(parameters, [self.bins, 2 * self.bins], axis=-1)
        return Spline(widths, heights, slopes, self.bound)


class CircularRationalQuadratic(Transformer):
    """A monotone rational-quadratic spline from the circle to itself, with a turn."""

    bins: int = eqx.field(static=True, default=8)

    def __check_init__(self) -> None:
        refuse_bins(self.bins)

    @property
    def size(self) -> int:
        return 3 * self.bins + 1

    def image(self, box: Box) -> Box:
        return Box.between(-math.pi, math.pi, box.low.shape)

    def __call__(self, parameters: Float[Array, "D size"]) -> CircularSpline:
        widths, heights, slopes, turn = jnp.split(parameters, [self.bins, 2 * self.bins, 3 * self.bins], axis=-1)
        return CircularSpline(widths, heights, slopes, turn[:, 0])


class MixedRationalQuadratic(Transformer):
    """Circular splines with a turn of the numbers that are angles, and of the others splines, scaled and shifted.

    The scales lie between `exp(-2)` and `exp(2)`.

    Attributes:
        periodic: whether each number that is moved is an angle, shape `(D,)`; not trained.
        bins: of each spline.
        bound: where the linear tails begin.
    """

    periodic: Bool[Array, "*batch D"]
    bins: int = eqx.field(static=True, default=8)
    bound: float = eqx.field(static=True, default=5.0)

    def __check_init__(self) -> None:
        refuse_bins(self.bins)
        refuse_bound(self.bound)

    @property
    def size(self) -> int:
        return 3 * self.bins + 2

    def image(self, box: Box) -> Box:
        return turned(Box.whole(box.low.shape), self.periodic)

    def of_dimension(self, index: Int[Array, ""]) -> "MixedRationalQuadratic":
        return MixedRationalQuadratic(self.periodic[index][None], self.bins, self.bound)

    def __call__(self, parameters: Float[Array, "D size"]) -> MixedSpline:
        widths, heights, slopes, ends = jnp.split(parameters, [self.bins, 2 * self.bins, 3 * self.bins], axis=-1)
        return MixedSpline(widths, heights, slopes, ends[:, 0], 2 * _squash(ends[:, 1]), self.periodic, self.bound)


class Sigmoidal(Transformer):
    """The logit of a mixture of sigmoids, a universal monotone map of the line; its inverse is a root-find.

    The sigmoids stand apart from the start: equal ones would have equal gradients, and stay equal.
    """

    units: int = eqx.field(static=True, default=8)

    def __check_init__(self) -> None:
        if self.units < 1:
            raise ValueError(f"there must be a sigmoid at least, got {self.units}")

    @property
    def size(self) -> int:
        return 3 * self.units

    def __call__(self, parameters: Float[Array, "D size"]) -> DeepSigmoidal:
        logits, raw_slopes, offsets = jnp.split(parameters, 3, axis=-1)
        return DeepSigmoidal(logits, raw_slopes, offsets + jnp.linspace(-2, 2, self.units, dtype=offsets.dtype)[None])


def _squash(a: Array) -> Array:
    return a / (1 + jnp.abs(a))
