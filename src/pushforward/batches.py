"""Batches whose rows several devices divide."""

from typing import TypeVar

import jax
from jax.sharding import PartitionSpec
from jaxtyping import PyTree

__all__ = ["BATCH", "divided"]

T = TypeVar("T", bound=PyTree)

BATCH = "batch"
"""The axis of a mesh along which devices divide a batch."""


def divided(rows: T) -> T:
    """Arrays with a leading axis of rows, which the devices of `training.fit` divide where it is to use several.

    A number of rows that they do not divide evenly each of them has whole. The numbers are the same but for rounding.

    Args:
        rows: arrays, or None.
    """
    mesh = jax.sharding.get_abstract_mesh()
    devices = mesh.shape.get(BATCH, 1)
    if devices == 1:
        return rows

    def each(array: jax.Array) -> jax.Array:
        return array if len(array) % devices else jax.lax.with_sharding_constraint(array, PartitionSpec(BATCH))

    return jax.tree.map(each, rows)
