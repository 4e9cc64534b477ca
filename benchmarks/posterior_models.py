"""A posterior that is nearly Normal, for `posteriors.py`."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist


def nearly_normal():
    """A regression of 20 weights on 200 rows, whose posterior is nearly Normal."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 20))
    rates = np.exp(1 + 0.1 * x @ rng.normal(size=20))
    weights = numpyro.sample("w", dist.Normal(0, 1).expand([20]).to_event(1))
    numpyro.sample("y", dist.Poisson(jnp.exp(1 + x @ weights)), obs=jax.device_get(rng.poisson(rates)))
