"""The contract of every bijection, and what its log-determinant may do."""

from abc import abstractmethod
from enum import IntEnum

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.border import check_arrays, identity_hash, in_one_dtype
from pushforward.boxes import Box
from pushforward.devices import refuse_wrong_sums
from pushforward.types import Numbers

refuse_wrong_sums()

Scalar = Float[Array, ""]
WithLogDet = tuple[Float[Array, "..."], Scalar]
"""One sample, moved, and the log-determinant of the move at where it was."""
WithScore = tuple[Float[Array, "..."], Scalar, Float[Array, "..."]]
"""The same, and the score at where the sample is now."""


class Volume(IntEnum):
    """What the log-determinant of a bijection does over its domain, from least to most free.

    Attributes:
        PRESERVING: it is 0 everywhere.
        CONSTANT: it is one number everywhere.
        VARYING: it depends on the point.
    """

    PRESERVING = 0
    CONSTANT = 1
    VARYING = 2


class Bijection(eqx.Module):
    """An invertible differentiable map of **one** sample, with its log-determinant in nats.

    Batches are `jax.vmap`'s work. Numbers of any real type, lists and data frames are taken, and computed with in the
    dtype of the parameters. A subclass gives `shape`, `volume`, `_forward_and_log_det` and `_inverse_and_log_det`,
    which see arrays of the event shape and of that dtype, and `out_shape` where the map changes the shape.
    """

    def __check_init__(self) -> None:
        check_arrays(self)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Event shape: the shape of one sample that goes in."""

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape of one sample that comes out."""
        return self.shape

    @property
    @abstractmethod
    def volume(self) -> Volume:
        """What the log-determinant does over the domain."""

    @abstractmethod
    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet: ...

    @abstractmethod
    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet: ...

    def forward_and_log_det(self, x: Numbers) -> WithLogDet:
        """`f(x)` and `log |det df/dx|` at `x`.

        Raises:
            ValueError: `x` is not one sample of the event shape, or not made of real numbers.
        """
        bijection, x = in_one_dtype(self, x)
        self._expect(self.shape, x)
        return bijection._forward_and_log_det(x)

    def inverse_and_log_det(self, y: Numbers) -> WithLogDet:
        """`f^-1(y)` and `log |det df^-1/dy|` at `y`.

        Raises:
            ValueError: `y` is not one sample of the outgoing shape, or not made of real numbers.
        """
        bijection, y = in_one_dtype(self, y)
        self._expect(self.out_shape, y)
        return bijection._inverse_and_log_det(y)

    def forward(self, x: Numbers) -> Float[Array, "..."]:
        """`f(x)`."""
        return self.forward_and_log_det(x)[0]

    def inverse(self, y: Numbers) -> Float[Array, "..."]:
        """`f^-1(y)`."""
        return self.inverse_and_log_det(y)[0]

    def resolve(self) -> "Bijection":
        """The same map with its constrained parameters computed, so that a batch or a scan computes them once."""
        return self

    def calibrate(self, y: Numbers) -> tuple["Bijection", Float[Array, "n ..."]]:
        """The same kind of map, started from a batch of outputs `y`, and the inputs that they come from.

        Only `ActNorm`, and what is made with it, depends on the data; other maps stay as they are.

        Raises:
            ValueError: `y` is not a batch of the outgoing shape.
        """
        bijection, y = in_one_dtype(self, y)
        if y.ndim == 0 or y.shape[1:] != self.out_shape:
            raise ValueError(f"expected a batch of shape (n, *{self.out_shape}), got {y.shape}")
        return bijection._calibrate(y)

    def _calibrate(self, y: Float[Array, "n ..."]) -> tuple["Bijection", Float[Array, "n ..."]]:
        return self, jax.vmap(self.resolve().inverse)(y)

    def push_score(self, x: Numbers, score: Numbers) -> WithScore:
        """`f(x)`, the log-determinant, and the score of the pushed-forward density at `f(x)`.

        `score` is the gradient of a log density at `x`; the result is `J^-T (score - grad log_det)`, found without
        inverting `f` where a subclass can (Vaitl et al., 2024, "Fast and unified path gradient estimators for
        normalizing flows").

        Args:
            x: one sample.
            score: gradient of a log density at `x`.
        """
        bijection, x, score = in_one_dtype(self, x, score)
        self._expect(self.shape, x)
        self._expect(self.shape, score)
        return bijection._push_score(x, score)

    def _push_score(self, x: Float[Array, "..."], score: Float[Array, "..."]) -> WithScore:
        y, log_det = self.forward_and_log_det(x)
        _, pull_back = jax.vjp(self.inverse_and_log_det, y)
        (score,) = pull_back((score, jnp.ones_like(log_det)))
        return y, log_det, score

    @property
    def increasing(self) -> bool:
        """Whether `x <= y` in every number just where `f(x) <= f(y)` in every number.

        So do permutations and increasing functions of each number, and they map boxes to boxes.
        """
        return False

    def image(self, box: Box) -> Box:
        """The smallest box known to hold `f(x)` for every `x` of a box; of all arrays, where it is whole."""
        bijection, low, high = in_one_dtype(self, box.low, box.high)
        return _as(low.dtype, bijection._image(Box(low, high)))

    def preimage(self, box: Box) -> Box:
        """The smallest box known to hold `f^-1(y)` for every `y` of a box."""
        bijection, low, high = in_one_dtype(self, box.low, box.high)
        return _as(low.dtype, bijection._preimage(Box(low, high)))

    def _image(self, box: Box) -> Box:
        return Box(self.forward(box.low), self.forward(box.high)) if self.increasing else Box.whole(self.out_shape)

    def _preimage(self, box: Box) -> Box:
        return Box(self.inverse(box.low), self.inverse(box.high)) if self.increasing else Box.whole(self.shape)

    def _expect(self, shape: tuple[int, ...], x: Array) -> None:
        if x.shape != shape:
            raise ValueError(
                f"{type(self).__name__} takes one sample of shape {shape}, got {x.shape}; for a batch use jax.vmap"
            )

    __hash__ = identity_hash


def _as(dtype: jnp.dtype, box: Box) -> Box:
    return Box(box.low.astype(dtype), box.high.astype(dtype))


class Unconstrained(Bijection):
    """A bijection stored by unconstrained parameters, whose constrained twin `resolve` does the work."""

    @abstractmethod
    def resolve(self) -> Bijection:
        """The same map with its constrained parameters computed."""

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self.resolve().forward_and_log_det(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return self.resolve().inverse_and_log_det(y)

    def _push_score(self, x: Float[Array, "..."], score: Float[Array, "..."]) -> WithScore:
        return self.resolve().push_score(x, score)
