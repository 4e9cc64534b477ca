"""Maps for angles beside real numbers: onto the circle, and from the circle to itself."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Volume, WithLogDet
from pushforward.bijections.elementwise import OfSome
from pushforward.boxes import Box


def wrap(angle: Float[Array, "..."]) -> Float[Array, "..."]:
    """The angle in [-pi, pi) that is the same up to whole turns.

    Args:
        angle: any real number.
    """
    return jnp.mod(angle + math.pi, 2 * math.pi) - math.pi


class OntoCircle(OfSome):
    """`pi erf(x / sqrt(2))` of some numbers of a vector, the others as they are: N(0, 1) becomes a uniform angle."""

    def _log_slope(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        return jnp.sum(jnp.where(np.array(self.which), 0.5 * math.log(2 * math.pi) - x**2 / 2, 0))

    def _forward_and_log_det(self, x: Float[Array, " D"]) -> WithLogDet:
        which = np.array(self.which)
        noise = jnp.where(which, x, 0)
        return jnp.where(which, math.pi * jax.scipy.special.erf(noise / math.sqrt(2)), x), self._log_slope(noise)

    def _inverse_and_log_det(self, y: Float[Array, " D"]) -> WithLogDet:
        which = np.array(self.which)
        # Of the two ends, which are one angle, the error function reaches neither.
        most = 1 - jnp.finfo(y.dtype).epsneg
        share = jnp.clip(jnp.where(which, y, 0) / math.pi, -most, most)
        noise = math.sqrt(2) * jax.scipy.special.erfinv(share)
        return jnp.where(which, noise, y), -self._log_slope(noise)


class Moebius(Bijection):
    """`loc + 2 arctan(exp(log_scale) tan(x / 2))` of some numbers of a vector, which are angles in [-pi, pi).

    A map of the circle: small scales gather it at `loc`. What a shift and a scale are on the line (Kato & Jones, 2010,
    "A family of distributions on the circle with links to, and applications arising from, Moebius transformation").

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`; of numbers that are no angles neither is used.
        which: whether each number is an angle.
    """

    loc: Float[Array, "*batch D"]
    log_scale: Float[Array, "*batch D"]
    which: tuple[bool, ...] = eqx.field(static=True)

    @staticmethod
    def identity(which: tuple[bool, ...]) -> "Moebius":
        """The map that does nothing yet.

        Args:
            which: whether each number is an angle.
        """
        return Moebius(jnp.zeros(len(which)), jnp.zeros(len(which)), which)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING if any(self.which) else Volume.PRESERVING

    def _image(self, box: Box) -> Box:
        return turned(box, np.array(self.which))

    def _preimage(self, box: Box) -> Box:
        return turned(box, np.array(self.which))

    def _stretched(self, angle: Float[Array, " D"], log_scale: Float[Array, " D"]) -> WithLogDet:
        sine, cosine = jnp.sin(angle / 2), jnp.cos(angle / 2)
        small = jnp.exp(-jnp.abs(log_scale))
        grows = log_scale > 0
        sine, cosine = jnp.where(grows, sine, small * sine), jnp.where(grows, small * cosine, cosine)
        log_slopes = -jnp.abs(log_scale) - jnp.log(sine**2 + cosine**2)
        return 2 * jnp.arctan2(sine, cosine), jnp.sum(jnp.where(np.array(self.which), log_slopes, 0))

    def _forward_and_log_det(self, x: Float[Array, " D"]) -> WithLogDet:
        which = np.array(self.which)
        y, log_det = self._stretched(wrap(jnp.where(which, x, 0)), self.log_scale)
        return jnp.where(which, wrap(y + self.loc), x), log_det

    def _inverse_and_log_det(self, y: Float[Array, " D"]) -> WithLogDet:
        which = np.array(self.which)
        x, log_det = self._stretched(wrap(jnp.where(which, y, self.loc) - self.loc), -self.log_scale)
        return jnp.where(which, wrap(x), y), log_det


def turned(box: Box, periodic: Array | np.ndarray) -> Box:
    """The box whose periodic numbers have the whole circle.

    Args:
        box: any box.
        periodic: whether each number is an angle.
    """
    return Box(jnp.where(periodic, -math.pi, box.low), jnp.where(periodic, math.pi, box.high))
