# %% [markdown]
# # A density of your own
#
# You can evaluate log p(x) up to a constant, and want draws, expectations and the constant. Here p is a ring of radius 2
# with a dent, in the plane, so that everything can be looked at; nothing below knows that there are two dimensions.

# %%
import jax
import jax.numpy as jnp

import pushforward
from pushforward import evaluation, flows, objectives, targets, training


def log_density(x):
    """Of one point, without its constant."""
    radius, angle = jnp.hypot(*x), jnp.arctan2(x[1], x[0])
    return -0.5 * ((radius - 2) / 0.3) ** 2 + jnp.cos(angle)


target = targets.from_callable(log_density, dim=2)

# %% [markdown]
# ## Fit
#
# A flow is a base distribution and a bijection. Four of them start at different random parameters; all of their training
# is one compiled loop. The loss is the free energy E_q[log q − log p], which is KL(q ‖ p) − log Z.

# %%
steps = 2000
models = training.ensemble(lambda key: flows.nsf_coupling(key, dim=2, length=6), jax.random.key(0), members=4)
fitted = training.fit(
    models,
    lambda flow, key, step: objectives.free_energy(flow, target.log_densities, key, batch_size=256),
    key=jax.random.key(1),
    steps=steps,
    optimizer=training.adam(5e-3, steps),
)

# %% [markdown]
# ## Judge
#
# A loss says nothing by itself. The judgement is made of new draws: the evidence lower bound, log Z with its standard
# error, the effective sample size of the importance weights p/q, and Pareto's k-hat, which says whether these can be
# trusted. [Judging a fit](../judging-a-fit.md) explains each.

# %%
judgements = [evaluation.judge(training.member(fitted.model, i), target, jax.random.key(2)) for i in range(4)]
best = max(range(4), key=lambda i: judgements[i].elbo)
judgement = judgements[best]
print(f"ELBO of each start  {', '.join(f'{each.elbo:.3f}' for each in judgements)}")
print(f"log Z               {judgement.log_z_estimate:.4f} ± {judgement.log_z_std_error:.4f}")
print(f"ESS                 {judgement.ess_fraction:.1%}")
print(f"k-hat               {judgement.k_hat:.2f}: {judgement.k_hat_verdict}")

# %% [markdown]
# In the plane a grid knows better than any draw: KL(q ‖ p), KL(p ‖ q) and log Z by quadrature.

# %%
print(f"KL(q ‖ p) {judgement.reverse_kl_grid:.4f}, KL(p ‖ q) {judgement.forward_kl_grid:.4f}")
print(f"log Z     {judgement.log_z_grid:.4f}")
assert abs(judgement.log_z_estimate - judgement.log_z_grid) < 0.02

# %%
flow = training.member(fitted.model, best)
pushforward.drawing.densities(target, flow)

# %% [markdown]
# ## Use
#
# Draws come with their log-densities, so that expectations can be weighted: what the flow is wrong by, the weights mend.

# %%
x, log_q = flow.sample_and_log_prob(jax.random.key(3), (20_000,))
weights = jax.nn.softmax(target.log_densities(x) - log_q)
print(f"E[x1] = {x[:, 0].mean():.3f} by the flow's draws, {weights @ x[:, 0]:.3f} weighted")

# %% [markdown]
# ## The same from the command line
#
# With the function in a file, `pushforward fit ring.py:log_density --dim 2 --flow nsf_coupling --restarts 4` trains,
# judges, keeps checkpoints, and writes a page that opens from disk. Without `--flow`, it climbs a ladder of approximations
# until one is good enough: see [the posterior of your own model](../posteriors.md).
