"""A hidden Markov chain of two states, summed over by the forward algorithm: rates and levels are the parameters."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from jax import lax
from jax.nn import logsumexp


def model(y):
    stay = jnp.asarray(numpyro.sample("stay", dist.Beta(8, 2).expand([2]).to_event(1)))
    level = numpyro.sample(
        "level",
        dist.TransformedDistribution(dist.Normal(0, 3).expand([2]).to_event(1), dist.transforms.OrderedTransform()),
    )
    noise = numpyro.sample("noise", dist.HalfNormal(1))
    transition = jnp.log(jnp.stack([jnp.stack([stay[0], 1 - stay[0]]), jnp.stack([1 - stay[1], stay[1]])]))

    def step(log_alpha, value):
        emission = dist.Normal(level, noise).log_prob(value)
        return logsumexp(log_alpha[:, None] + transition, axis=0) + emission, None

    first = jnp.log(0.5) + dist.Normal(level, noise).log_prob(y[0])
    log_alpha, _ = lax.scan(step, first, y[1:])
    numpyro.factor("chain", logsumexp(log_alpha))
