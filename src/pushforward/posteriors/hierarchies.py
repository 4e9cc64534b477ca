"""Models with effects of groups."""

from typing import Any

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from pushforward.posteriors.base import Column


def eight_schools_centered(y: Column, sigma: Column, **_: Any) -> None:
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    theta = numpyro.sample("theta", dist.Normal(mu, tau).expand([len(y)]).to_event(1))
    numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def eight_schools_noncentered(y: Column, sigma: Column, **_: Any) -> None:
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    effects = numpyro.sample("theta_trans", dist.Normal(0, 1).expand([len(y)]).to_event(1))
    theta = numpyro.deterministic("theta", mu + tau * effects)
    numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


def seeds(germinated: Column, seeds: Column, x1: Column, x2: Column) -> None:
    tau = numpyro.sample("tau", dist.Gamma(0.01, 0.01))
    weights = numpyro.sample("a", dist.Normal(0, 10).expand([4]).to_event(1))
    effects = numpyro.sample("b", dist.Normal(0, tau**-0.5).expand([len(seeds)]).to_event(1))
    features = jnp.stack([jnp.ones(len(x1)), x1, x2, x1 * x2], axis=-1)
    numpyro.sample("germinated", dist.Binomial(seeds, logits=features @ weights + effects), obs=germinated)
