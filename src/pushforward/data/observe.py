"""How the grey levels of an image become the numbers that a likelihood takes."""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

from pushforward.types import PRNGKeyArray

Kind = Literal["static", "dynamic", "thresholded", "continuous", "levels", "real"]

MARGIN = 1e-4


class Observation(eqx.Module):
    """From grey levels 0 ... L-1, or real numbers, to observations.

    Attributes:
        kind: `static`: the data are 0 and 1 already; `dynamic`: 1 with a probability of `level / (L - 1)`, drawn anew
            every time; `thresholded`: 1 from the middle of the levels on; `continuous`: `(level + u) / L` with fresh
            uniform noise `u`, kept off the ends of (0, 1) by 0.0001; `levels`: as they are; `real`: as they are, of
            data without grey levels. The first three are different data sets: their likelihoods cannot be compared.
        levels: L.
    """

    kind: Kind = eqx.field(static=True)
    levels: int = eqx.field(static=True)

    def __call__(self, images: Shaped[Array, "*batch D"], key: PRNGKeyArray) -> Float[Array, "*batch D"]:
        """Observations of a batch, in the default floating-point type."""
        x = images.astype(jnp.result_type(float))
        match self.kind:
            case "static" | "levels" | "real":
                return x
            case "dynamic":
                return jax.random.bernoulli(key, x / (self.levels - 1)).astype(x.dtype)
            case "thresholded":
                return (2 * x >= self.levels - 1).astype(x.dtype)
            case "continuous":
                return MARGIN + (1 - 2 * MARGIN) * (x + jax.random.uniform(key, x.shape, x.dtype)) / self.levels
