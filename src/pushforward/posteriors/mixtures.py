"""Mixtures, and hidden Markov models whose states are summed over by the forward algorithm."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import lax
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from pushforward.posteriors.base import Column, flat


def low_dim_gauss_mix(y: Column, **_: Any) -> None:
    mu = numpyro.sample("mu", flat(constraints.ordered_vector, (2,)))
    numpyro.factor("mu_prior", dist.Normal(0, 2).log_prob(mu).sum())
    sigma = numpyro.sample("sigma", dist.HalfNormal(2).expand([2]).to_event(1))
    theta = numpyro.sample("theta", dist.Beta(5, 5))
    weights = dist.Categorical(jnp.stack([theta, 1 - theta]))
    numpyro.sample("y", dist.MixtureSameFamily(weights, dist.Normal(mu, sigma)), obs=y)


def hmm_example(y: Column, **_: Any) -> None:
    theta = _transitions(np.ones((2, 2)))
    mu = _ordered("mu", constraints.positive_ordered_vector, (3.0, 10.0))
    numpyro.factor("y", _log_forward(dist.Normal(mu, 1).log_prob(y[:, None]), theta))


def hmm_drive_0(u: Column, v: Column, alpha: Float[np.ndarray, "2 2"], **_: Any) -> None:
    theta = _transitions(alpha)
    phi = _ordered("phi", constraints.positive_ordered_vector, (0.0, 3.0))
    rate = _ordered("lambda", constraints.positive_ordered_vector, (0.0, 3.0))
    seen = dist.Exponential(phi).log_prob(u[:, None]) + dist.Exponential(rate).log_prob(v[:, None])
    numpyro.factor("u_v", _log_forward(seen, theta))


def hmm_drive_1(u: Column, v: Column, alpha: Float[np.ndarray, "2 2"], tau: float, rho: float, **_: Any) -> None:
    theta = _transitions(alpha)
    phi = _ordered("phi", constraints.ordered_vector, (0.0, 3.0))
    mean = _ordered("lambda", constraints.ordered_vector, (0.0, 3.0))
    seen = dist.Normal(phi, tau).log_prob(u[:, None]) + dist.Normal(mean, rho).log_prob(v[:, None])
    numpyro.factor("u_v", _log_forward(seen, theta))


def _transitions(alpha: Float[np.ndarray, "2 2"]) -> Float[Array, "2 2"]:
    return jnp.stack([numpyro.sample(f"theta{k + 1}", dist.Dirichlet(alpha[k])) for k in range(2)])


def _ordered(name: str, support: constraints.Constraint, centres: tuple[float, float]) -> Float[Array, "2"]:
    """Two ordered numbers, Normal of scale 1 but for their order."""
    values = numpyro.sample(name, flat(support, (2,)))
    numpyro.factor(f"{name}_prior", dist.Normal(jnp.array(centres), 1).log_prob(values).sum())
    return jnp.asarray(values)


def _log_forward(log_emissions: Float[Array, "n 2"], theta: Float[Array, "2 2"]) -> Float[Array, ""]:
    """Log-likelihood of a chain of two states, both of weight 1 at first."""

    def step(gamma: Float[Array, "2"], seen: Float[Array, "2"]) -> tuple[Float[Array, "2"], None]:
        return jax.nn.logsumexp(gamma[:, None] + jnp.log(theta), axis=0) + seen, None

    gamma, _ = lax.scan(step, log_emissions[0], log_emissions[1:])
    return jax.nn.logsumexp(gamma)
