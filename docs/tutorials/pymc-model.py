# %% [markdown]
# # The posterior of a model in PyMC
#
# A regression whose slopes differ between groups, in PyMC; its density is compiled by PyMC's JAX backend.

# %%
import jax
import numpy as np
import pymc as pm

from pushforward import inference, targets

rng = np.random.default_rng(0)
group = np.repeat(np.arange(4), 10)
x = rng.normal(size=40)
y = (1 + 0.3 * rng.normal(size=4))[group] * x + 0.5 * rng.normal(size=40)

with pm.Model() as model:
    common = pm.Normal("common", 0, 2)
    spread = pm.HalfNormal("spread", 1)
    slope = pm.Normal("slope", common, spread, shape=4)
    noise = pm.HalfNormal("noise", 1)
    pm.Normal("y", slope[group] * x, noise, observed=y)

posterior = inference.fit(targets.from_pymc(model), jax.random.key(0), seconds=30)
posterior

# %% [markdown]
# The scales are positive and the slopes of a small spread lie close together: the funnel that makes hierarchical models
# hard. The draws are in PyMC's names and shapes.

# %%
draws = posterior.sample(jax.random.key(1), 4000)
for name, values in draws.items():
    print(f"{name:7} {np.mean(values, axis=0).round(2)}")
assert abs(np.mean(draws["noise"]) - 0.5) < 0.2

# %% [markdown]
# Predictions stay with PyMC, which takes the draws in ArviZ's form.

# %%
predicted = pm.sample_posterior_predictive(posterior.to_arviz(), model=model, random_seed=0, progressbar=False)
inside = np.abs(predicted.posterior_predictive["y"].mean(("chain", "draw")) - y) < 1.0
print(f"{float(inside.mean()):.0%} of the observations lie within 1 of their predicted mean")
