"""What every public method makes of the numbers that it is given: arrays of the model's own type."""

from typing import Any, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Shaped

Model = TypeVar("Model")

Numbers = Any
"""A number, an array of any real type, a nested list, or a data frame."""

Shape = int | tuple[int, ...]


def in_one_dtype(model: Model, *numbers: Numbers) -> tuple[Any, ...]:
    """`model` with floating parameters of one dtype, and `numbers` as arrays of it.

    The dtype is that to which the parameters promote, and without parameters that to which the numbers do; integers
    count as JAX's default float.

    Raises:
        ValueError: what was given is not made of real numbers.
    """
    arrays = [_array(x) for x in numbers]
    parameters = [leaf.dtype for leaf in jax.tree.leaves(model) if eqx.is_inexact_array(leaf)]
    floating = parameters or [x.dtype for x in arrays if jnp.issubdtype(x.dtype, jnp.floating)]
    dtype = jnp.result_type(*floating) if floating else jnp.result_type(float)
    if any(parameter != dtype for parameter in parameters):
        model = jax.tree.map(lambda leaf: jnp.asarray(leaf, dtype) if eqx.is_inexact_array(leaf) else leaf, model)
    return model, *(jnp.asarray(x, dtype) for x in arrays)


def batch_of(shape: Shape) -> tuple[int, ...]:
    """A batch shape, of which one axis may be given by its length."""
    return (shape,) if isinstance(shape, int) else tuple(shape)


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
