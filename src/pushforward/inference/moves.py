"""How a Normal law is brought nearer to a posterior by its own draws: by their weights, or by the gradients there."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from pushforward.bijections import TriangularAffine
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

STEPS, BATCHES, PAIRS = 6, 4, 512
FARTHEST, NARROWEST = 1.0, 0.25


def weighted_moments(z: Float[np.ndarray, "n D"], log_weights: Float[np.ndarray, " n"]) -> tuple[Array, Array]:
    """Mean and covariance of draws by their weights (adaptive importance sampling; Oh & Berger, 1992).

    Args:
        z: draws.
        log_weights: of each.
    """
    inside = np.isfinite(log_weights)
    weights = np.where(inside, np.exp(log_weights - log_weights[inside].max()), 0.0)
    weights /= weights.sum()
    draws = np.where(inside[:, None], z, 0.0)
    mean = weights @ draws
    centred = draws - mean
    return jnp.asarray(mean), jnp.asarray(centred.T @ (weights[:, None] * centred))


def settled(target: Target, normal: TriangularAffine, key: PRNGKeyArray) -> tuple[TriangularAffine, float]:
    """A Normal law after some Newton steps of its free energy, over its mean and the scale of each of its directions.

    In coordinates in which the law is N(0, I), with `w` the weight of a draw, the gradient of the free energy is
    `-E[grad log w]`, its curvature in direction i `1 - E[eps_i (grad log w)_i]` (Opper & Archambeau, 2009, "The
    variational Gaussian approximation revisited"). Weights cannot say as much in hundreds of dimensions.

    Args:
        target: the posterior.
        normal: a map of N(0, I).
        key: for draws, in antithetic pairs.

    Returns:
        The map of the highest ELBO on the way, and the variance of its log weights.
    """

    def log_weight(eps: Float[Array, " D"], normal: TriangularAffine) -> Float[Array, ""]:
        z, log_det = normal.forward_and_log_det(eps)
        return target.log_density(z) + log_det + 0.5 * eps @ eps

    @eqx.filter_jit
    def look(normal: TriangularAffine, key: PRNGKeyArray) -> tuple[Array, ...]:
        def batch(key: PRNGKeyArray) -> tuple[Array, ...]:
            half = jax.random.normal(key, (PAIRS, target.dim))
            eps = jnp.concatenate([half, -half])
            values, gradients = jax.vmap(jax.value_and_grad(log_weight), (0, None))(eps, normal)
            return values.mean(), values.var(), gradients.mean(axis=0), (gradients * eps).mean(axis=0)

        means, variances, *others = lax.map(batch, jax.random.split(key, BATCHES))
        return means.mean(), variances.mean(), *(each.mean(axis=0) for each in others)

    best, highest, spread = normal, -np.inf, np.inf
    for step in range(STEPS):
        elbo, variance, shift, slope = (np.asarray(each) for each in look(normal, jax.random.fold_in(key, step)))
        if not np.isfinite(elbo):
            break
        if elbo > highest:
            best, highest, spread = normal, float(elbo), float(variance)
        scale = 1 / np.sqrt(np.clip(1 - slope, NARROWEST, 1 / NARROWEST))
        normal = _moved(normal, jnp.asarray(np.clip(shift, -FARTHEST, FARTHEST)), jnp.asarray(scale))
    return best, spread


def _moved(normal: TriangularAffine, shift: Float[Array, " D"], scale: Float[Array, " D"]) -> TriangularAffine:
    """The law whose draws were moved and stretched before."""
    return TriangularAffine(normal.forward(shift), normal.below * scale, normal.log_diagonal + jnp.log(scale))
