"""A user's own function as a target, checked before anything is trained on it."""

import importlib
import os
import sys
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.errors import UserError
from pushforward.quadrature import Box
from pushforward.targets.base import Target

TRIED = 256
"""Draws from N(0, I) at which a target is tried."""


def from_callable(
    log_density: Callable[[Float[Array, " D"]], Float[Array, ""]],
    dim: int,
    *,
    name: str | None = None,
    log_z: float | None = None,
    box: Box | None = None,
) -> Target:
    """The target of a function that takes one point `(D,)` and returns its unnormalised log density, a scalar.

    The function must be written with `jax.numpy`. It is evaluated at 256 draws from N(0, I).

    Args:
        log_density: unnormalised log density of one point `(D,)`, written with `jax.numpy`.
        dim: dimensions D.
        name: what reports call it.
        log_z: log normaliser in nats, where it is known.
        box: region that figures show, a pair of ends for each dimension.

    Raises:
        UserError: it cannot be traced by JAX, does not return one real number, or is not finite at some draw, value or
            gradient.

    Example:
        >>> target = from_callable(lambda z: -jnp.sum(z**4), dim=3)
    """
    if name is None:
        name = str(getattr(log_density, "__name__", "target"))
    return checked(Target(name, dim, log_density, log_z, box))


def checked(target: Target, *, walls: bool = False) -> Target:
    """The target, if its density can be trained on; it is evaluated at 256 draws from N(0, I).

    Args:
        target: what is to be fitted.
        walls: whether it may be infinite or undefined at some of the draws.

    Raises:
        UserError: it cannot be traced by JAX, does not return one real number, or is not finite at some draw, value or
            gradient; with `walls`, at all of them.
    """
    name, dim = target.name, target.dim
    point = jax.ShapeDtypeStruct((dim,), jnp.result_type(float))
    try:
        result = jax.eval_shape(target.log_density, point)
    except jax.errors.JAXTypeError as error:
        raise UserError(f"{name} cannot be traced by JAX; write it with jax.numpy: {first_line(error)}") from error
    except Exception as error:
        raise UserError(f"{name} failed on a point of shape ({dim},): {first_line(error)}") from error
    if not isinstance(result, jax.ShapeDtypeStruct):
        raise UserError(f"{name} must return one array, a scalar; it returned a {type(result).__name__}")
    if result.shape != () or not jnp.issubdtype(result.dtype, jnp.floating):
        raise UserError(
            f"{name} must return one real number for one point of shape ({dim},); "
            f"it returned shape {result.shape}, dtype {result.dtype}"
        )
    draws = jax.random.normal(jax.random.key(0), (TRIED, dim))
    complaint = target.complaint(draws)
    if complaint is None or (walls and target.usable(draws).any()):
        return target
    if walls:
        raise UserError(f"{complaint}, and so at every one of {TRIED} draws from N(0, I): check the model and its data")
    raise UserError(
        f"{complaint}, a draw from N(0, I); it must be finite everywhere: keep its domain by a smooth wall, "
        "or transform it to R^D"
    )


def from_path(path: str, dim: int | None, *, log_z: float | None = None, box: Box | None = None) -> Target:
    """The target of `module:function`, imported from the Python path or the current folder.

    Args:
        path: `module:function`.
        dim: dimensions D.
        log_z: log normaliser in nats, where it is known.
        box: region that figures show.

    Raises:
        UserError: the module or the function is not there, `dim` is missing, or `from_callable` refuses it.
    """
    module_name, _, attribute = path.partition(":")
    if dim is None:
        raise UserError(f"{path} needs its dimension: add --dim")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise UserError(f"cannot import {module_name!r}: {first_line(error)}") from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UserError(f"module {module_name!r} has no function {attribute!r}")
    return from_callable(function, dim, name=path, log_z=log_z, box=box)


def first_line(error: Exception) -> str:
    """What an error says, in a line."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
