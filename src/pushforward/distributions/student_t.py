"""Student-t distributions with independent dimensions."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.distributions.location_scale import LocationScale
from pushforward.types import PRNGKeyArray


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

    log_df: Float[Array, "*batch D"] = eqx.field(kw_only=True)

    @staticmethod
    def standard(dim: int, trained: bool = False, df: float = 3.0) -> "StudentT":
        """Location 0, scale 1 and `df` degrees of freedom in `dim` dimensions.

        Args:
            dim: dimensions D.
            trained: whether location, scale and degrees of freedom are parameters that training changes.
            df: degrees of freedom.
        """
        return StudentT(jnp.zeros(dim), jnp.zeros(dim), trained, log_df=jnp.full(dim, math.log(df)))

    def _noise(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        key_normal, key_gamma = jax.random.split(key)
        dtype = self.loc.dtype
        log_half_df = jnp.broadcast_to(self.log_df - math.log(2), shape)
        log_gamma = jax.random.loggamma(key_gamma, jnp.exp(log_half_df), shape, dtype)
        return jax.random.normal(key_normal, shape, dtype) * jnp.exp(0.5 * (log_half_df - log_gamma))

    def _noise_log_density(self, noise: Float[Array, " D"]) -> Float[Array, " D"]:
        return self._log_density(noise, jnp.zeros_like(noise))

    def marginal_log_probs(self, x: Float[Array, " D"]) -> Float[Array, " D"]:
        family = self._held()
        return family._log_density(x - family.loc, family.log_scale) - family.log_scale

    def _log_density(self, offset: Float[Array, " D"], log_scale: Float[Array, " D"]) -> Float[Array, " D"]:
        """Of the noise `offset / exp(log_scale)`, also where that leaves the floats."""
        df = jnp.exp(self.log_df)
        power = -0.5 * (df + 1) * _log1p_square(offset, log_scale + 0.5 * self.log_df)
        return power + log_gamma_ratio(0.5 * df) - 0.5 * math.log(2 * math.pi)


def log_gamma_ratio(a: Float[Array, "..."]) -> Float[Array, "..."]:
    """`log(Gamma(a + 1/2) / (Gamma(a) sqrt(a)))` for `a > 0`, without the cancellation of the two.

    Eight steps up by `Gamma(a + 1) = a Gamma(a)`, and there the asymptotic series of the ratio (DLMF 5.11.13), whose
    next term is below 2e-15.
    """
    steps = jnp.arange(8, dtype=a.dtype).reshape(8, *[1] * a.ndim)
    b = a + 8
    odd = jnp.array([-5461 / 425984, 691 / 180224, -31 / 18432, 17 / 14336, -1 / 640, 1 / 192, -1 / 8], a.dtype)
    return -jnp.sum(jnp.log1p(0.5 / (a[None] + steps)), axis=0) + 0.5 * jnp.log1p(8 / a) + jnp.polyval(odd, b**-2) / b


def _log1p_square(x: Array, log_unit: Array) -> Array:
    """`log(1 + (x / exp(log_unit))^2)`, also where the quotient or its square leaves the floats."""
    at_zero = x == 0
    log_size = jnp.log(jnp.abs(jnp.where(at_zero, 1, x))) - log_unit
    large = ~at_zero & (log_size > 0)
    inner = jnp.where(large, 0, x * jnp.exp(-jnp.where(large, 0, log_unit)))
    outer = jnp.where(large, log_size, 0)
    return jnp.where(large, 2 * outer + jnp.log1p(jnp.exp(-2 * outer)), jnp.log1p(inner**2))
