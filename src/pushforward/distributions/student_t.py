"""Student-t distributions with independent dimensions."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import betaln
from jaxtyping import Array, Float, PRNGKeyArray

from pushforward.distributions.location_scale import LocationScale


class StudentT(LocationScale):
    """Student-t noise with `exp(log_df)` degrees of freedom in each dimension.

    As a base it gives a flow of bounded slope the heavy tails that a Normal cannot (Jaini et al., 2020, "Tails of
    Lipschitz triangular flows").

    Attributes:
        loc: shape `(D,)`.
        log_scale: shape `(D,)`.
        log_df: shape `(D,)`.
        trained: False stops every gradient to `loc`, `log_scale` and `log_df`.
    """

    log_df: Float[Array, "... D"] = eqx.field(kw_only=True)

    @staticmethod
    def standard(dim: int, trained: bool = False, df: float = 3.0) -> "StudentT":
        """Location 0, scale 1 and `df` degrees of freedom in `dim` dimensions."""
        return StudentT(jnp.zeros(dim), jnp.zeros(dim), trained, log_df=jnp.full(dim, math.log(df)))

    def _noise(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        key_normal, key_gamma = jax.random.split(key)
        dtype = self.loc.dtype
        log_half_df = jnp.broadcast_to(self.log_df - math.log(2), shape)
        log_gamma = jax.random.loggamma(key_gamma, jnp.exp(log_half_df), shape, dtype)
        return jax.random.normal(key_normal, shape, dtype) * jnp.exp(0.5 * (log_half_df - log_gamma))

    def _noise_log_density(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        df = jnp.exp(self.log_df)
        power = -0.5 * (df + 1) * _log1p_square(noise * jnp.exp(-0.5 * self.log_df))
        return power - 0.5 * self.log_df - betaln(0.5, 0.5 * df)


def _log1p_square(x: Array) -> Array:
    """`log(1 + x^2)`, also where `x^2` leaves the floats."""
    large = jnp.abs(x) > 1
    inner = jnp.where(large, 0, x)
    outer = jnp.where(large, jnp.abs(x), 1)
    return jnp.where(large, 2 * jnp.log(outer) + jnp.log1p(outer**-2), jnp.log1p(inner**2))
