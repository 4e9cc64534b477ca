"""Time series."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import lax
from jaxtyping import Array
from numpyro.distributions import constraints

from pushforward.posteriors.base import Column, flat


def arK(K: int, y: Column, **_: Any) -> None:
    alpha = numpyro.sample("alpha", dist.Normal(0, 10))
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([K]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))
    lagged = np.stack([y[K - lag : len(y) - lag] for lag in range(1, K + 1)], axis=-1)
    numpyro.sample("y", dist.Normal(alpha + lagged @ beta, sigma), obs=y[K:])


def arma11(y: Column, **_: Any) -> None:
    mu = numpyro.sample("mu", dist.Normal(0, 10))
    phi = numpyro.sample("phi", dist.Normal(0, 2))
    theta = numpyro.sample("theta", dist.Normal(0, 2))
    sigma = numpyro.sample("sigma", dist.HalfCauchy(2.5))

    def step(error: Any, pair: tuple[Array, Array]) -> tuple[Any, Any]:
        before, now = pair
        error = now - (mu + phi * before + theta * error)
        return error, error

    first = y[0] - (mu + phi * mu)
    _, later = lax.scan(step, first, (jnp.asarray(y[:-1]), jnp.asarray(y[1:])))
    errors = jnp.concatenate([first[None], later])
    numpyro.factor("y", dist.Normal(0, sigma).log_prob(errors).sum())


def garch11(y: Column, sigma1: float, **_: Any) -> None:
    mu = numpyro.sample("mu", flat(constraints.real))
    alpha0 = numpyro.sample("alpha0", flat(constraints.positive))
    alpha1 = numpyro.sample("alpha1", dist.Uniform(0, 1))
    beta1 = numpyro.sample("beta1", flat(constraints.interval(0, 1 - alpha1)))

    def step(variance: Any, before: Any) -> tuple[Any, Any]:
        variance = alpha0 + alpha1 * (before - mu) ** 2 + beta1 * variance
        return variance, variance

    first: Any = jnp.full((), sigma1**2, jnp.result_type(float))
    _, later = lax.scan(step, first, jnp.asarray(y)[:-1])
    scale = jnp.sqrt(jnp.concatenate([first[None], later]))
    numpyro.sample("y", dist.Normal(mu, scale), obs=y)


def brownian(t: Column, observed: Column) -> None:
    """Brownian motion seen with noise; what was not seen is NaN."""
    innovation = numpyro.sample("innovation", dist.LogNormal(0, 2))
    noise = numpyro.sample("noise", dist.LogNormal(0, 2))
    x = numpyro.sample("x", dist.GaussianRandomWalk(innovation, num_steps=len(t)))
    seen = np.flatnonzero(np.isfinite(observed))
    numpyro.sample("y", dist.Normal(x[seen], noise), obs=observed[seen])
