# %% [markdown]
# # Repair by chains behind the flow
#
# A quick fit is not always good enough. Chains that move in the coordinates of the flow's base, where the posterior is
# nearly Normal, mend what it got wrong (NeuTra, Hoffman et al., 2019), and say when they agree.
#
# The centred eight schools have a funnel, which a Normal cannot follow.

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
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)


posterior = inference.fit(targets.from_numpyro(model, y=y, sigma=sigma), jax.random.key(0), seconds=15)
print(posterior.verdict)

# %% [markdown]
# `refine` starts eight chains at weighted draws: a trajectory of NUTS behind the flow, then a jump to a draw of the flow,
# taken or not by its weight. They end when the split R-hat of every number is at most 1.01 and its effective sample size
# is reached.

# %%
refined = posterior.refine(jax.random.key(1), ess=400, seconds=40)
refined

# %% [markdown]
# Before and after: the reference draws of posteriordb have a mean of 3.6 and a standard deviation of 3.2 for τ.

# %%
for name, each in (("flow alone, weighted", posterior), ("with chains", refined)):
    tau = each.sample(jax.random.key(2), 4000)["tau"]
    print(f"{name:22} tau {tau.mean():.2f} ± {tau.std():.2f}")
assert abs(refined.sample(jax.random.key(2), 4000)["tau"].mean() - 3.6) < 0.7

# %% [markdown]
# `pushforward refine RUN` does the same to a run of the command line, and goes on where it ended. More, on `imh` and `smc`
# too: [the posterior of your own model](../posteriors.md).
