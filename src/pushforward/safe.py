"""Elementary functions that are safe in value and gradient where the plain ones are not."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def safe_norm(x: Float[Array, " D"]) -> Float[Array, ""]:
    """Euclidean norm of a vector, with gradient 0 at 0."""
    squared = jnp.sum(x**2)
    at_zero = squared == 0
    return jnp.where(at_zero, 0, jnp.sqrt(jnp.where(at_zero, 1, squared)))
