"""What every public method makes of the numbers that it is given: arrays of the model's own type."""

import dataclasses
from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import dtypes
from jaxtyping import AbstractArray, Array, Shaped, jaxtyped

from pushforward.types import Numbers

__all__ = ["batch_of", "check_arrays", "concrete", "identity_hash", "in_one_dtype"]

Model = TypeVar("Model")

Shape = int | tuple[int, ...]


def in_one_dtype(model: Model, *numbers: Numbers) -> tuple[Any, ...]:
    """`model` with floating parameters of one dtype, and `numbers` as arrays of it.

    The dtype is that to which the parameters promote, and without parameters that to which the numbers do; integers
    count as JAX's default float.

    Raises:
        ValueError: what was given is not made of real numbers.
    """
    arrays = [_array(x) for x in numbers]
    parameters = [
        dtypes.canonicalize_dtype(leaf.dtype) for leaf in jax.tree.leaves(model) if eqx.is_inexact_array(leaf)
    ]
    floating = parameters or [
        dtypes.canonicalize_dtype(x.dtype) for x in arrays if jnp.issubdtype(x.dtype, jnp.floating)
    ]
    dtype = jnp.result_type(*floating) if floating else jnp.result_type(float)
    if any(parameter != dtype for parameter in parameters):
        model = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if eqx.is_inexact_array(leaf) else leaf, model)
    return model, *(jnp.asarray(x, dtype) for x in arrays)


def batch_of(shape: Shape) -> tuple[int, ...]:
    """A batch shape, of which one axis may be given by its length."""
    return (shape,) if isinstance(shape, int) else tuple(shape)


def check_arrays(module: eqx.Module) -> None:
    """Hold the array fields of a module to their annotations: numbers of that type, and axes of one name of one length.

    Raises:
        ValueError: a field is something else.
    """
    shapes = {}
    with jaxtyped("context"):
        for field in dataclasses.fields(module):
            if not (isinstance(field.type, type) and issubclass(field.type, AbstractArray)):
                continue
            value = getattr(module, field.name)
            array = jnp.asarray(value) if isinstance(value, np.ndarray | np.generic) else value
            shapes[field.name] = getattr(array, "shape", None)
            if not isinstance(array, field.type):
                got = f"{array.dtype}{list(array.shape)}" if isinstance(array, jax.Array) else repr(value)
                raise ValueError(
                    f"{type(module).__name__}.{field.name} must be {field.type.__name__}, got {got}; shapes: {shapes}"
                )


def concrete(*arrays: Array) -> bool:
    """Whether the values of arrays are known now, so that they can be checked."""
    return not any(isinstance(array, jax.core.Tracer) for array in arrays)


def identity_hash(module: eqx.Module) -> int:
    """A hash for arrays that have none, so that `jax.jit` takes the bound methods of a module."""
    try:
        return eqx.Module.__hash__(module)
    except TypeError:
        return id(module)


def _array(x: Numbers) -> Array | Shaped[np.ndarray, "..."]:
    array = x if isinstance(x, jax.Array) else np.asarray(x)
    if not (
        jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer) or array.dtype == bool
    ):
        raise ValueError(f"expected real numbers, got an array of dtype {array.dtype}")
    return array
