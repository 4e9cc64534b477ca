"""Where a distribution has its mass."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from pushforward.border import check_arrays

__all__ = ["Box"]


def __dir__() -> list[str]:
    return __all__


class Box(eqx.Module):
    """The points with `low <= x <= high` in every number of an event; an infinite end is none.

    Attributes:
        low: of the event shape.
        high: of the event shape.
        integers: only whole numbers lie in it.

    Raises:
        ValueError: the two have different shapes.
    """

    low: Float[Array, "*event"]
    high: Float[Array, "*event"]
    integers: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        check_arrays(self)

    @staticmethod
    def whole(shape: tuple[int, ...]) -> "Box":
        """All arrays of an event shape."""
        return Box(jnp.full(shape, -jnp.inf), jnp.full(shape, jnp.inf))

    @staticmethod
    def between(low: float, high: float, shape: tuple[int, ...], integers: bool = False) -> "Box":
        """The same two ends for every number of an event.

        Args:
            low: smallest value of every number.
            high: largest value.
            shape: event shape.
            integers: whether values are whole numbers.
        """
        return Box(
            jnp.full(shape, low, jnp.result_type(float)), jnp.full(shape, high, jnp.result_type(float)), integers
        )

    @property
    def is_whole(self) -> Bool[Array, ""]:
        """Whether no number has an end."""
        return jnp.all((self.low == -jnp.inf) & (self.high == jnp.inf))

    def contains(self, x: Float[Array, "*batch_and_event"]) -> Bool[Array, "*batch"]:
        """Whether each sample lies in the box, `(*batch, *event)` -> `batch`."""
        inside = (x >= jnp.broadcast_to(self.low, x.shape)) & (x <= jnp.broadcast_to(self.high, x.shape))
        if self.integers:
            inside &= x == jnp.round(x)
        return jnp.all(inside, axis=tuple(range(x.ndim - self.low.ndim, x.ndim)))
