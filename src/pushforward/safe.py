"""Elementary functions that are safe in value and gradient where the plain ones are not."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


def safe_norm(x: Float[Array, " D"]) -> Float[Array, ""]:
    """Euclidean norm of a vector, free of overflow and underflow, with gradient 0 at 0."""
    largest = jax.lax.stop_gradient(jnp.max(jnp.abs(x)))
    at_zero = largest == 0
    scaled = x / jnp.where(at_zero, 1, largest)
    return jnp.where(at_zero, 0, largest * jnp.sqrt(jnp.where(at_zero, 1, jnp.sum(scaled**2))))
