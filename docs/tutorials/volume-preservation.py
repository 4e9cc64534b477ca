# %% [markdown]
# # Volume preservation, and what it costs
#
# A flow whose log-determinant is one constant (NICE, Real VP) cannot change the law of log p(X), its *density of states*.
# That alone bounds how well it can fit, whatever its networks are: the bound is computed before anything is trained.

# %%
import jax

import pushforward
from pushforward import flows, objectives, states, targets, training
from pushforward.distributions import Normal

target = targets.make("checkerboard")
x = target.sample(jax.random.key(0), 60_000)
data = states.from_log_densities(target.log_densities(x) - target.log_z)
bound = states.volume_preserving_bound(data, dim=2)
print(f"no volume-preserving flow comes below {bound.nats:.3f} nats [{bound.low:.3f}, {bound.high:.3f}]")

# %% [markdown]
# ## Does training find it?
#
# The same couplings, additive (NICE) and affine (Real NVP), trained alike on the same rows.

# %%
losses, trained = {}, {}
truth = float(target.log_densities(x[:10_000]).mean() - target.log_z)
for name in ("nice", "real_nvp"):
    start = lambda key: flows.RECIPES[name](key, dim=2, length=12, width=64, base=Normal.standard(2))
    fitted = training.fit(
        training.ensemble(start, jax.random.key(1), 1),
        objectives.ForwardKL(x[10_000:], 256),
        key=jax.random.key(2),
        steps=3000,
        optimizer=training.adam(1e-3, 3000),
    )
    trained[name] = training.member(fitted.model, 0)
    losses[name] = truth - float(trained[name].log_prob(x[:10_000]).mean())
    print(f"{name:9} KL(p ‖ q) = {losses[name]:.3f} nats")

# %%
assert losses["nice"] > bound.low
assert losses["real_nvp"] < losses["nice"]

# %% [markdown]
# The reason in one picture: the law of log p(X) of the data has a single value, that of NICE is the exponential law of a
# Normal in the plane, moved by a constant, and no training changes its shape.

# %%
pushforward.drawing.densities_of_states({"data": data, "NICE": states.density_of_states(trained["nice"])})

# %% [markdown]
# For a table of your own, `pushforward states advise measurements.npy --tolerance 0.05` fits a quick spline flow, and says
# `varying volume`, `volume-preserving` or `cannot tell`. [Densities of states](../density-of-states.md) has the definitions
# and the proof, [volume preservation](../volume-preservation.md) the studies.
