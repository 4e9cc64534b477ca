"""Normal distributions with a full covariance."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from pushforward.border import concrete
from pushforward.distributions.base import Distribution, over_batch
from pushforward.types import PRNGKeyArray


class MultivariateNormal(Distribution):
    """N(loc, L L^T) with a trained lower-triangular factor L; samples are differentiable in every parameter.

    Attributes:
        loc: shape `(D,)`.
        raw_tril: shape `(D, D)`; below the diagonal it is L, its diagonal is the log of that of L, and what is above
            the diagonal is ignored.

    Raises:
        ValueError: the shapes disagree.
    """

    loc: Float[Array, "*batch D"]
    raw_tril: Float[Array, "*batch D D"]

    @staticmethod
    def standard(dim: int) -> "MultivariateNormal":
        """N(0, I) in `dim` dimensions."""
        return MultivariateNormal(jnp.zeros(dim), jnp.zeros((dim, dim)))

    @staticmethod
    def from_covariance(loc: Float[Array, " D"], covariance: Float[Array, "D D"]) -> "MultivariateNormal":
        """N(loc, covariance).

        Args:
            loc: mean, `(D,)`.
            covariance: `(D, D)`, symmetric and positive definite.

        Raises:
            ValueError: `covariance` is not symmetric and positive definite.
        """
        factor = jnp.linalg.cholesky(covariance)
        if concrete(factor) and not (np.isfinite(factor).all() and np.allclose(covariance, covariance.T, rtol=1e-4)):
            raise ValueError("the covariance is not symmetric and positive definite")
        return MultivariateNormal(loc, jnp.tril(factor, -1) + jnp.diag(jnp.log(jnp.diag(factor))))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.loc.shape[-1:]

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        return self._sample_and_log_prob(key, shape)[0]

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        factor = self._factor()

        def log_prob(x: Array) -> Array:
            return self._noise_log_density(solve_triangular(factor, x - self.loc, lower=True))

        return over_batch(log_prob, self.batch_shape(x), x)

    def _sample_and_log_prob(
        self, key: PRNGKeyArray, shape: tuple[int, ...]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        factor = self._factor()

        def push(noise: Array) -> tuple[Array, Array]:
            return self.loc + factor @ noise, self._noise_log_density(noise)

        return over_batch(push, shape, jax.random.normal(key, (*shape, *self.shape), self.loc.dtype))

    def _factor(self) -> Array:
        return jnp.tril(self.raw_tril, -1) + jnp.diag(jnp.exp(jnp.diag(self.raw_tril)))

    def _noise_log_density(self, noise: Array) -> Array:
        return -0.5 * jnp.sum(noise**2) - jnp.trace(self.raw_tril) - 0.5 * noise.size * math.log(2 * math.pi)
