"""A density that only the host can evaluate, such as one compiled by Stan, as a target."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.devices import double_precision
from pushforward.errors import UserError
from pushforward.targets.base import Target
from pushforward.targets.callables import checked, first_line

FAILURES: list[str] = []
"""What functions of the host raised inside of compiled programs."""
ValueAndGradient = Callable[[Float[np.ndarray, "n D"]], tuple[Float[np.ndarray, " n"], Float[np.ndarray, "n D"]]]


def from_callback(value_and_gradient: ValueAndGradient, dim: int, *, name: str | None = None) -> Target:
    """The target of a function outside of JAX, which gets a batch of points in one call.

    Args:
        value_and_gradient: from points `(n, D)` in double precision to their unnormalised log densities `(n,)`, in
            nats, and the gradients `(n, D)`.
        dim: dimensions D.
        name: what reports call it.

    Raises:
        UserError: the function raises, or returns something of another shape or type; or the density is finite at no
            start.

    Example:
        >>> def value_and_gradient(z):
        ...     return -0.5 * (z**2).sum(axis=1), -z
        >>> target = from_callback(value_and_gradient, dim=3)
    """
    if name is None:
        name = str(getattr(value_and_gradient, "__name__", "target"))
    _check(value_and_gradient, dim, name)

    def on_host(z: Any) -> tuple[np.ndarray, np.ndarray]:
        z = np.asarray(z)
        points = z.astype(np.float64).reshape(-1, dim)
        try:
            values, gradients = value_and_gradient(points)
        except Exception as error:
            FAILURES.append(f"{name} failed: {type(error).__name__}: {first_line(error)}")
            raise
        return (
            np.asarray(values, z.dtype).reshape(z.shape[:-1]),
            np.asarray(gradients, z.dtype).reshape(z.shape),
        )

    def evaluate(z: Float[Array, " D"]) -> tuple[Float[Array, ""], Float[Array, " D"]]:
        shapes = jax.ShapeDtypeStruct((), z.dtype), jax.ShapeDtypeStruct((dim,), z.dtype)
        return jax.pure_callback(on_host, shapes, z, vmap_method="broadcast_all")

    @jax.custom_jvp
    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        return evaluate(z)[0]

    @log_density.defjvp
    def _(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
        value, gradient = evaluate(primals[0])
        return value, jnp.dot(gradient, tangents[0])

    with double_precision(), naming_failures():
        return checked(Target(name, dim, log_density, twice_differentiable=False), walls=True)


@contextmanager
def naming_failures() -> Iterator[None]:
    """Within it, an error that a function of the host raises inside of a compiled program is told in one line.

    Raises:
        UserError: there was one.
    """
    FAILURES.clear()
    # JAX writes the traceback of the host's error to it, and raises an error of its own.
    log = logging.getLogger("jax._src.callback")
    disabled, log.disabled = log.disabled, True
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if FAILURES:
            raise UserError(FAILURES[0]) from error
        raise
    finally:
        log.disabled = disabled


def _check(value_and_gradient: ValueAndGradient, dim: int, name: str) -> None:
    points = 0.1 * np.random.default_rng(0).normal(size=(3, dim))
    try:
        values, gradients = (np.asarray(array, np.float64) for array in value_and_gradient(points))
    except Exception as error:
        reason = f"{type(error).__name__}: {first_line(error)}"
        raise UserError(f"{name} failed on points of shape (3, {dim}): {reason}") from error
    if values.shape != (3,):
        raise UserError(f"{name} must return 3 values for 3 points, got the shape {values.shape}")
    if gradients.shape != (3, dim):
        raise UserError(f"{name} must return gradients of the shape (3, {dim}), got {gradients.shape}")
