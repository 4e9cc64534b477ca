"""Integrals over boxes by the trapezoidal rule, in logs."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.special import logsumexp

__all__ = ["Grid", "log_integral"]


def __dir__() -> list[str]:
    return __all__


Box = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Grid:
    """A regular grid over a box in one or two dimensions, with the log weights of the trapezoidal rule.

    For a smooth integrand that vanishes towards the edge of the box the error falls faster than any power of the
    spacing, as long as the spacing is below the finest feature.

    Attributes:
        box: `(low, high)` of each dimension.
        size: points per dimension.
    """

    box: Box
    size: int = 500

    @property
    def axes(self) -> list[np.ndarray]:
        """The coordinates along each dimension, `(size,)` each."""
        return [np.linspace(low, high, self.size) for low, high in self.box]

    @property
    def points(self) -> np.ndarray:
        """Every grid point, `(*sizes, D)`."""
        return np.stack(np.meshgrid(*self.axes, indexing="ij"), axis=-1)

    @property
    def log_weights(self) -> np.ndarray:
        """Log quadrature weight of every grid point, `sizes`."""
        total = np.zeros(())
        for axis in self.axes:
            weights = np.full(self.size, axis[1] - axis[0])
            weights[[0, -1]] /= 2
            total = np.add.outer(total, np.log(weights))
        return total

    def evaluate(self, log_density: Callable[[Array], Array]) -> Float[np.ndarray, "..."]:
        """A vectorised log density at every grid point, `sizes`, in float64."""
        points = jnp.asarray(self.points, jnp.result_type(float))
        rows = jax.lax.map(log_density, points) if len(self.box) > 1 else log_density(points)
        return np.asarray(rows, np.float64)

    def log_integral(self, log_values: Float[np.ndarray, "..."]) -> float:
        """Log of the integral of `exp(log_values)`."""
        return float(logsumexp(log_values + self.log_weights))

    def kl(self, log_p: Float[np.ndarray, "..."], log_q: Float[np.ndarray, "..."]) -> float:
        """`KL(p || q)` in nats for log-densities on the grid."""
        mass = np.exp(log_p + self.log_weights)
        inside = mass > 0
        return float(np.sum(mass[inside] * (log_p[inside] - log_q[inside])))


def log_integral(log_density: Callable[[Array], Array], box: Box, size: int = 1000) -> float:
    """Log of the integral over `box` of the exponential of a vectorised log density."""
    grid = Grid(box, size)
    return grid.log_integral(grid.evaluate(jax.jit(lambda x: log_density(x))))
