# %% [markdown]
# # The posterior of a model in NumPyro
#
# Eight schools, the hierarchical model that everybody knows. The flow is fitted in unconstrained coordinates; what comes
# back is in the model's own parameters.

# %%
import jax
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist

from pushforward import inference, targets

y = jnp.array([28.0, 8, -3, 7, -1, 1, 18, 12])
sigma = jnp.array([15.0, 10, 16, 11, 9, 11, 10, 18])


def model(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", len(y)):
        noise = numpyro.sample("noise", dist.Normal(0, 1))
        theta = numpyro.deterministic("theta", mu + tau * noise)
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


target = targets.from_numpyro(model, y=y, sigma=sigma)
target

# %% [markdown]
# `inference.fit` starts at the Normal of the curvature at the mode and climbs: a Normal of full rank, then flows, until
# the importance weights say that it is good enough, or the time is over.

# %%
posterior = inference.fit(target, jax.random.key(0), seconds=30)
posterior

# %% [markdown]
# The table is of weighted draws, with the Monte Carlo error of each number. The verdict below it names what is determined
# worst; it also says whether draws that did *not* come from the flow found mass where the flow has none.

# %%
draws = posterior.sample(jax.random.key(1), 1000)
{name: values.shape for name, values in draws.items()}

# %%
print(f"P(the first school is better than the mean of all) = {(draws['noise'][:, 0] > 0).mean():.2f}")
assert 0.6 < (draws["noise"][:, 0] > 0).mean() < 0.8

# %% [markdown]
# Everything that reads ArviZ's form reads the posterior, predictions of NumPyro included.

# %%
posterior.to_arviz()
