"""The supports that parameters of a model have, each with its bijection from R^k."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from pushforward.bijections import (
    Bijection,
    Chain,
    CorrelationCholesky,
    OntoBox,
    Ordered,
    Reshape,
    Stereographic,
    StickBreaking,
)
from pushforward.border import concrete
from pushforward.boxes import Box
from pushforward.types import Numbers

__all__ = [
    "Support",
    "circle",
    "correlation_cholesky",
    "greater_than",
    "interval",
    "less_than",
    "ordered",
    "positive",
    "real",
    "simplex",
    "unit_vector",
]


def __dir__() -> list[str]:
    return __all__


@dataclass(frozen=True)
class Support:
    """Where an array of parameters lies.

    Attributes:
        make: makes the bijection from coordinates `(k,)` to the array. Of a circle it is the identity: the coordinates
            are angles.
        words: what follows the name of the parameter in a description, such as `> 0`; nothing of a real one.
        periodic: whether coordinates that differ by 2 pi are the same.
    """

    make: Callable[[], Bijection]
    words: str = ""
    periodic: bool = False

    @property
    def bijection(self) -> Bijection:
        """From coordinates to the array; its constants have the precision that JAX has now."""
        return self.make()

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the array."""
        return self.bijection.out_shape

    @property
    def size(self) -> int:
        """The number k of coordinates."""
        return self.bijection.shape[0]

    def coordinates(self, value: Numbers, name: str = "the value") -> jax.Array:
        """The coordinates `(k,)` of an array.

        Args:
            value: the array; where JAX traces it, only its shape is checked.
            name: of the parameter, for messages.

        Raises:
            ValueError: the array has another shape, or lies outside of the support.
        """
        value = jnp.asarray(value, jnp.result_type(float))
        if value.shape != self.shape:
            raise ValueError(f"{name} has shape {self.shape}, got {value.shape}")
        coordinates = self.bijection.inverse(value)
        if not concrete(value):
            return coordinates
        there = np.asarray(self.bijection.forward(coordinates))
        turned = self.periodic and np.isfinite(value).all()
        if not (np.isfinite(coordinates).all() and (turned or np.allclose(there, value, rtol=1e-3, atol=1e-5))):
            raise ValueError(f"{name} must be {self.words or 'finite'}, got {np.asarray(value).tolist()}")
        return coordinates


def real(shape: tuple[int, ...] = ()) -> Support:
    """All arrays of a shape."""
    return _box(shape, -math.inf, math.inf, "")


def positive(shape: tuple[int, ...] = ()) -> Support:
    """Arrays of positive numbers, by `exp`."""
    return _box(shape, 0.0, math.inf, "> 0")


def greater_than(low: float, shape: tuple[int, ...] = ()) -> Support:
    """Arrays of numbers above a bound, by `low + exp(x)`.

    Args:
        low: the bound.
        shape: of the array.
    """
    return _box(shape, low, math.inf, f"> {low:g}")


def less_than(high: float, shape: tuple[int, ...] = ()) -> Support:
    """Arrays of numbers below a bound, by `high - exp(-x)`.

    Args:
        high: the bound.
        shape: of the array.
    """
    return _box(shape, -math.inf, high, f"< {high:g}")


def interval(low: float, high: float, shape: tuple[int, ...] = ()) -> Support:
    """Arrays of numbers between two bounds, by a stretched sigmoid.

    Args:
        low: the lower bound.
        high: the upper bound.
        shape: of the array.

    Raises:
        ValueError: the lower bound is not below the upper one.
    """
    if not low < high:
        raise ValueError(f"the lower bound of an interval must be below the upper one, got {low} and {high}")
    return _box(shape, low, high, f"in ({low:g}, {high:g})")


def ordered(shape: tuple[int, ...]) -> Support:
    """Arrays `(*batch, k)` that increase along the last axis."""
    return _checked(lambda: _of_coordinates(Ordered(shape)), "ordered")


def simplex(shape: tuple[int, ...]) -> Support:
    """Arrays `(*batch, k)` of positive numbers that sum to 1 along the last axis, by stick breaking."""
    return _checked(lambda: _of_coordinates(StickBreaking(shape)), "on the simplex")


def correlation_cholesky(shape: tuple[int, ...]) -> Support:
    """Cholesky factors `(*batch, k, k)` of correlation matrices."""
    return _checked(lambda: _of_coordinates(CorrelationCholesky(shape)), "the Cholesky factor of a correlation matrix")


def unit_vector(shape: tuple[int, ...]) -> Support:
    """Arrays `(*batch, k)` of length 1 along the last axis, by the stereographic projection."""
    return _checked(lambda: _of_coordinates(Stereographic(shape)), "a unit vector")


def circle(shape: tuple[int, ...] = ()) -> Support:
    """Angles in [-pi, pi), whose ends are one point."""
    return Support(real(shape).make, "an angle", periodic=True)


def _checked(make: Callable[[], Bijection], words: str) -> Support:
    """The support, whose bijection is made once to refuse shapes that cannot be."""
    make()
    return Support(make, words)


def _box(shape: tuple[int, ...], low: float, high: float, words: str) -> Support:
    return Support(lambda: _of_coordinates(OntoBox(Box.between(low, high, shape))), words)


def _of_coordinates(bijection: Bijection) -> Bijection:
    """The bijection of the flattened array."""
    return Chain((Reshape((math.prod(bijection.shape),), bijection.shape), bijection))
