"""Logistic regression with standardised columns and weights from N(0, 1)."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(x, y):
    weights = numpyro.sample("weights", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    intercept = numpyro.sample("intercept", dist.Normal(0, 1))
    numpyro.sample("y", dist.Bernoulli(logits=intercept + jnp.dot(x, weights)), obs=y)
