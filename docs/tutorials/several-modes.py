# %% [markdown]
# # Several modes
#
# Reverse KL takes its draws from the flow, so that a mode that no draw has seen costs nothing, and the importance weights,
# made of the same draws, are blind for it too. Here is what that looks like for a flow that starts at one of five modes,
# and what to do about it.

# %%
import jax
import jax.numpy as jnp

import pushforward
from pushforward import evaluation, flows, objectives, targets, training
from pushforward.distributions import Normal

centres = jnp.array([[-7.0, -7], [-7, 7], [7, -7], [7, 7], [0, 0]])
variance = 0.5


def log_density(x):
    """Five Gaussians; log Z is 0."""
    distances = jnp.sum((x - centres) ** 2, axis=1)
    return jax.nn.logsumexp(-distances / (2 * variance)) - jnp.log(5 * 2 * jnp.pi * variance)


target = targets.from_callable(log_density, dim=2)
steps = 2500
start = lambda key: flows.nsf_coupling(key, dim=2, length=6, bound=8.0, base=Normal.standard(2))

# %%
reverse = training.fit(
    training.ensemble(start, jax.random.key(0), 1),
    lambda flow, key, step: objectives.free_energy(flow, target.log_densities, key, batch_size=256),
    key=jax.random.key(1),
    steps=steps,
    optimizer=training.adam(2e-3, steps),
)
narrow = training.member(reverse.model, 0)
judgement = evaluation.judge(narrow, target, jax.random.key(2))
print(f"by the flow's own draws: ESS {judgement.ess_fraction:.0%}, k-hat {judgement.k_hat:.2f}")
print(f"log Z {judgement.log_z_estimate:.2f} ± {judgement.log_z_std_error:.2f}; the truth is 0, and log 5 = 1.61")
pushforward.drawing.densities(target, narrow)

# %% [markdown]
# ## Draws that are annealed to the target
#
# `objectives.Annealed` runs chains from the flow to the target every few steps and trains on a buffer of their ends: the
# alpha = 2 divergence (FAB, Midgley et al., 2023) or KL(p ‖ q). The flow starts wide enough to have all of it in reach.

# %%
wide = lambda key: flows.nsf_coupling(
    key, dim=2, length=6, bound=20.0, base=Normal(jnp.zeros(2), jnp.full(2, jnp.log(6.0)))
)
annealed = training.fit(
    training.ensemble(wide, jax.random.key(0), 1),
    objectives.Annealed(target.log_density, "alpha", batch_size=256),
    key=jax.random.key(1),
    steps=steps,
    optimizer=training.adam(2e-3, steps),
)
whole = training.member(annealed.model, 0)
judgement = evaluation.judge(whole, target, jax.random.key(2))
print(f"ESS {judgement.ess_fraction:.0%}, log Z {judgement.log_z_estimate:.3f} ± {judgement.log_z_std_error:.3f}")
print(f"KL(p ‖ q) by quadrature {judgement.forward_kl_grid:.3f} nats")
pushforward.drawing.densities(target, whole)

# %%
assert abs(judgement.log_z_estimate) < 0.1

# %% [markdown]
# From the command line: `pushforward fit mixture.py:log_density --dim 2 --objective alpha --flow nsf_coupling --spread 5`.
# [Many modes](../modes.md) compares the objectives, and says where each of them fails.
