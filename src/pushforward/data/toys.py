"""Samples of densities in the plane that are known exactly."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array, Float

from pushforward.data.base import MIN_ROWS, Dataset, Split
from pushforward.errors import UserError
from pushforward.targets import TARGETS

NAMES = (
    "rings",
    "ring-of-rings",
    "moons",
    "checkerboard",
    "gaussian-grid",
    "eight-gaussians",
    "forty-gaussians",
    "clusters",
    "banana",
    "funnel",
    "correlated-gaussian",
    "many-well",
    "student-t-mixture",
    "ten-student-t",
)
DEFAULT_SIZE = 12_500
MAX_SIZE = 10_000_000


def factory(name: str) -> Callable[[Split, int | None], Dataset]:
    """What draws `size` rows of a target that has exact samples, and divides them."""

    def make(split: Split, size: int | None = None) -> Dataset:
        size = DEFAULT_SIZE if size is None else size
        if not MIN_ROWS <= size <= MAX_SIZE:
            raise UserError(f"{name} can be drawn {MIN_ROWS} to {MAX_SIZE:,} times, got size {size}")
        target = TARGETS[name](2)
        if target.sample is None or target.log_z is None:
            raise TypeError(f"{name} has no exact samples")
        log_z = target.log_z

        def log_density(x: Float[Array, " D"]) -> Float[Array, ""]:
            return target.log_density(x) - log_z

        seed = int(np.random.default_rng(split.seed).integers(2**31))
        values = np.asarray(target.sample(jax.random.key(seed), size), np.float32)
        train, validation, test = (values[rows] for rows in split.rows(size))
        return Dataset(name, train, validation, test, ("x1", "x2"), log_density=log_density)

    make.__doc__ = TARGETS[name].__doc__
    return make


TOYS = {name: factory(name) for name in NAMES}
