# %% [markdown]
# # Constrained and periodic parameters
#
# A direction on the circle and a precision above zero, from five measured angles on both sides of ±π. A density of named
# arrays says where each of them lives; the flow is built to match.

# %%
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from pushforward import inference, supports, targets

measured = jnp.array([3.0, -3.1, 2.9, -2.8, 3.1])


def log_density(parameters):
    precision = parameters["precision"]
    spread = jnp.sum(jnp.cos(measured - parameters["direction"]) - 1)
    return precision * spread + 2.5 * jnp.log(precision) - precision


target = targets.from_tree(log_density, {"direction": supports.circle(), "precision": supports.positive()})
posterior = inference.fit(target, jax.random.key(0), seconds=20)
posterior

# %% [markdown]
# The mean of the direction is a circular one: the mass on both sides of π is one mode, not two.

# %%
draws = posterior.sample(jax.random.key(1), 5000)
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.hist(np.asarray(draws["direction"]), bins=100)
left.set(xlabel="direction", yticks=[], xticks=[-np.pi, 0, np.pi], xticklabels=["−π", "0", "π"])
right.hist(np.asarray(draws["precision"]), bins=100)
_ = right.set(xlabel="precision", yticks=[])

# %%
centre = np.angle(np.mean(np.exp(1j * np.asarray(draws["direction"]))))
print(f"circular mean {centre:.2f}")
assert abs(centre) > 2.9

# %% [markdown]
# The supports: `real`, `positive`, `greater_than`, `less_than`, `interval`, `ordered`, `simplex`, `correlation_cholesky`,
# `unit_vector`, `circle`. Each has its bijection, so that a flow on them needs no inference at all:

# %%
from pushforward import flows
from pushforward.bijections import Chain
from pushforward.distributions import Pushforward

ordered = supports.ordered((3,))
flow = flows.maf(jax.random.key(2), dim=3, length=2)
increasing = Pushforward(flow.base, Chain((flow.bijection, ordered.bijection)))
increasing.sample(jax.random.key(3), (3,))
