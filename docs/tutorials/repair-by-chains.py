# %% [markdown]
# # Repair by chains behind the flow
#
# A quick fit is not always good enough. Chains that move in the coordinates of the flow's base, where the posterior is
# nearly Normal, mend what it got wrong (NeuTra, Hoffman et al., 2019), and say when they agree.
#
# A banana: y lies around x², so that no Normal is near. With the moments that we know, E[y] = 1 and sd[y] = 1.446.

# %%
import jax
import numpy as np

from pushforward import inference, supports, targets


def log_density(parameters):
    x, y = parameters["x"], parameters["y"]
    return -0.5 * x**2 - 0.5 * ((y - x**2) / 0.3) ** 2


target = targets.from_tree(log_density, {"x": supports.real(), "y": supports.real()})
posterior = inference.fit(target, jax.random.key(0), seconds=40)

# %% [markdown]
# `refine` starts eight chains at weighted draws: a trajectory of NUTS behind the flow, then a jump to a draw of the flow,
# taken or not by its weight. They end when the split R-hat of every number is at most 1.01 and its effective sample size
# is reached.

# %%
refined = posterior.refine(jax.random.key(1), ess=400, seconds=30)
refined

# %% [markdown]
# Before and after, beside the truth.

# %%
for name, each in (("flow alone, weighted", posterior), ("with chains", refined)):
    y = np.asarray(each.sample(jax.random.key(2), 4000)["y"])
    print(f"{name:22} y {y.mean():.3f} ± {y.std():.3f}, most of 4,000 draws {y.max():.1f}")
print(f"{'the truth':22} y 1.000 ± {np.sqrt(2.09):.3f}")
assert abs(y.mean() - 1) < 0.1
assert abs(y.std() - np.sqrt(2.09)) < 0.2

# %% [markdown]
# `pushforward refine RUN` does the same to a run of the command line, and goes on where it ended. More, on `imh` and `smc`
# too: [the posterior of your own model](../posteriors.md).
