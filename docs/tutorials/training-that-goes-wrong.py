# %% [markdown]
# # Training that goes wrong, and what the reports say
#
# Four ways in which a fit fails, each made on purpose, and where the package says so. None of them is silent.

# %%
import jax
import jax.numpy as jnp
import numpy as np

from pushforward import evaluation, flows, objectives, targets, training
from pushforward.errors import UserError


def trained(target, steps, rate, members=2, flow=lambda key: flows.planar(key, dim=2, length=8)):
    loss = lambda flow, key, step: objectives.free_energy(flow, target.log_densities, key, batch_size=128)
    models = training.ensemble(flow, jax.random.key(0), members)
    optimizer = training.adam(rate, steps)
    return training.fit(models, loss, key=jax.random.key(1), steps=steps, optimizer=optimizer)


# %% [markdown]
# ## A number that is not finite
#
# A density with a hole far out, which no check at the start sees: NaN where x1 < −4. The member that meets it keeps its last good parameters and is left out; when
# all have, `Diverged` says at which step, and whether it was the loss or the gradient of which parameter.

# %%
hole = targets.from_callable(lambda x: jnp.where(x[0] < -4, jnp.nan, -0.5 * x @ x), dim=2)
try:
    trained(hole, 2000, 1e-2)
except UserError as error:
    print(f"{type(error).__name__}: {error}")

# %% [markdown]
# ## A rate that is too high
#
# The loss is finite, and bad; the importance weights know.

# %%
energy = targets.make("u4")
for rate in (1.0, 1e-2):
    judgement = evaluation.judge(training.member(trained(energy, 1500, rate).model, 0), energy, jax.random.key(2))
    print(f"rate {rate:<5} KL {judgement.kl:.3f}, ESS {judgement.ess_fraction:.0%}, {judgement.k_hat_verdict}")

# %% [markdown]
# ## A mode that is missed
#
# Two Gaussians far apart, one of them where the untrained flow is. Every number that is made of the flow's own draws is
# excellent, and log Z is low by log 2 = 0.69. Exact draws say so, where a target has them, and a grid that holds both;
# so does the check of coverage of `inference.fit`, which starts chains from far around.


# %%
def two(x):
    return jnp.logaddexp(-0.5 * jnp.sum((x - 2) ** 2), -0.5 * jnp.sum((x + 12) ** 2)) - jnp.log(4 * jnp.pi)


modes = targets.from_callable(two, dim=2)
judgement = evaluation.judge(training.member(trained(modes, 1500, 1e-2, 1).model, 0), modes, jax.random.key(2))
print(
    f"ESS {judgement.ess_fraction:.0%}, k-hat {judgement.k_hat:.2f}, log Z {judgement.log_z_estimate:.3f}, and the truth is 0"
)
assert abs(judgement.log_z_estimate + 0.69) < 0.05

# %% [markdown]
# ## Few rows: overfitting
#
# A flow with thousands of parameters on 60 rows. Held-out rows choose the step that is kept, and the report puts the
# Gaussian of the rows beside it.

# %%
rows = jnp.asarray(np.random.default_rng(0).standard_t(3, (120, 4)), jnp.float32)
few, held_out = rows[:60], rows[60:]
fitted = training.fit(
    training.ensemble(lambda key: flows.nsf_autoregressive(key, dim=4, length=3), jax.random.key(0), 1),
    objectives.ForwardKL(few, 32),
    key=jax.random.key(1),
    steps=1000,
    optimizer=training.adam(5e-4, 1000),
    validate=objectives.HeldOut(held_out),
    record_every=10,
)
last, best = fitted.records[-1], int(fitted.best_steps[0])
print(f"training loss at the end {float(last.loss[0]):.2f}, validation {float(last.validation[0]):.2f} nats")
print(f"kept: step {best}, validation {float(fitted.best_losses[0]):.2f} nats")
assert best < 1000

# %% [markdown]
# `pushforward train` does all of this by itself, smooths few rows, and says "no better than a Gaussian" where that is so.
# Why some flows train worse than others: [how stable training is](../training-stability.md).
