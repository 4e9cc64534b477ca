"""Four posteriors that samplers are compared on, as NumPyro models whose arguments are the columns of a table."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist


def seeds(germinated, seeds, x1, x2):
    """Random-effects logistic regression of Crowder's seeds, D = 26 (Breslow & Clayton, 1993)."""
    tau = numpyro.sample("tau", dist.Gamma(0.01, 0.01))
    weights = numpyro.sample("a", dist.Normal(0, 10).expand([4]).to_event(1))
    effects = numpyro.sample("b", dist.Normal(0, tau**-0.5).expand([len(seeds)]).to_event(1))
    features = jnp.stack([jnp.ones(len(x1)), x1, x2, x1 * x2], axis=-1)
    numpyro.sample("germinated", dist.Binomial(seeds, logits=features @ weights + effects), obs=germinated)


def brownian(t, observed):
    """Brownian motion seen with noise, the middle third of it missing, D = 32 (Sountsov, Radul et al., 2020)."""
    innovation = numpyro.sample("innovation", dist.LogNormal(0, 2))
    noise = numpyro.sample("noise", dist.LogNormal(0, 2))
    x = numpyro.sample("x", dist.GaussianRandomWalk(innovation, num_steps=len(t)))
    seen = np.flatnonzero(np.isfinite(observed))
    numpyro.sample("y", dist.Normal(x[seen], noise), obs=observed[seen])


def logistic(label, **features):
    """Logistic regression with weights N(0, I) of standardised features: D = 61 for sonar, 35 for ionosphere."""
    x = np.stack(list(features.values()), axis=-1)
    scale = x.std(axis=0)
    x = (x - x.mean(axis=0)) / np.where(scale > 0, scale, 1)
    x = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    weights = numpyro.sample("w", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    numpyro.sample("label", dist.Bernoulli(logits=x @ weights), obs=(label + 1) / 2)


def nearly_normal():
    """A regression of 20 weights on 200 rows, whose posterior is nearly Normal."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 20))
    rates = np.exp(1 + 0.1 * x @ rng.normal(size=20))
    weights = numpyro.sample("w", dist.Normal(0, 1).expand([20]).to_event(1))
    numpyro.sample("y", dist.Poisson(jnp.exp(1 + x @ weights)), obs=jax.device_get(rng.poisson(rates)))
