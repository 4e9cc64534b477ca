"""Elementary functions that are safe in value and gradient where the plain ones are not."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

__all__ = ["safe_norm"]


def safe_norm(x: Float[Array, " D"]) -> Float[Array, ""]:
    """Euclidean norm of a vector, with gradient 0 at 0; its squares neither overflow nor underflow."""
    largest = lax.stop_gradient(jnp.max(jnp.abs(x), initial=0))
    at_zero = largest == 0
    unit = jnp.where(at_zero | ((largest > 1e-9) & (largest < 1e9)), 1, largest)
    return jnp.where(at_zero, 0, unit * jnp.sqrt(jnp.where(at_zero, 1, jnp.sum((x / unit) ** 2))))
