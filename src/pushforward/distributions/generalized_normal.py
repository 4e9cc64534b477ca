"""Generalized normal distributions with independent dimensions."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from pushforward.distributions.location_scale import LocationScale
from pushforward.types import PRNGKeyArray


class GeneralizedNormal(LocationScale):
    """Density proportional to `exp(-|z|^beta)` of `z = (x - loc) / exp(log_scale)`, `beta = exp(log_beta)`.

    `beta = 1` is the Laplace distribution, `beta = 2` the Normal of variance 1/2, a large one nearly uniform on
    [-1, 1]. At `z = 0` the gradient is taken as 0, which for `beta <= 1` is a kink.

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
        log_beta: shape `(D,)`.
        trained: False stops every gradient to `loc`, `log_scale` and `log_beta`.
    """

    log_beta: Float[Array, "*batch D"] = eqx.field(kw_only=True)

    @staticmethod
    def standard(dim: int, trained: bool = False, beta: float = 2.0) -> "GeneralizedNormal":
        """Location 0, scale 1 and shape `beta` in `dim` dimensions.

        Args:
            dim: dimensions D.
            trained: whether location and scale are parameters that training changes.
            beta: exponent; 2 is Normal, 1 is Laplace.
        """
        return GeneralizedNormal(jnp.zeros(dim), jnp.zeros(dim), trained, log_beta=jnp.full(dim, math.log(beta)))

    def _noise(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        key_sign, key_gamma = jax.random.split(key)
        dtype = self.loc.dtype
        inverse_beta = jnp.broadcast_to(jnp.exp(-self.log_beta), shape)
        log_gamma = jax.random.loggamma(key_gamma, inverse_beta, shape, dtype)
        return jax.random.rademacher(key_sign, shape, dtype) * jnp.exp(inverse_beta * log_gamma)

    def _noise_log_density(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        at_zero = noise == 0
        log_size = jnp.log(jnp.where(at_zero, 1, jnp.abs(noise)))
        power = jnp.where(at_zero, 0, jnp.exp(jnp.exp(self.log_beta) * log_size))
        return -power - gammaln(1 + jnp.exp(-self.log_beta)) - math.log(2)
