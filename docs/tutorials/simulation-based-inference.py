# %% [markdown]
# # Simulation-based inference
#
# A simulator, a prior, an observation; no likelihood. Neural posterior estimation learns the posterior of every possible
# observation from simulated pairs, and calibration on new simulations says whether to believe it.

# %%
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib import pyplot as plt

from pushforward.distributions import Uniform
from pushforward.inference import simulation


def simulator(key, theta):
    """Two moons (Greenberg et al., 2019): a crescent whose place does not tell theta from -theta."""
    key_angle, key_radius = jax.random.split(key)
    angle = jax.random.uniform(key_angle, minval=-jnp.pi / 2, maxval=jnp.pi / 2)
    radius = 0.1 + 0.01 * jax.random.normal(key_radius)
    crescent = jnp.array([radius * jnp.cos(angle) + 0.25, radius * jnp.sin(angle)])
    a, b = theta
    return crescent + jnp.array([-jnp.abs(a + b), b - a]) / jnp.sqrt(2)


prior = simulation.prior({"theta": Uniform(-jnp.ones(2), jnp.ones(2))})
pairs = simulation.simulate(prior, simulation.Simulator(simulator), jax.random.key(0), 2000)
estimator = simulation.estimate(prior, pairs, jax.random.key(1))

# %% [markdown]
# ## Is it calibrated?
#
# Ranks of the true parameters among posterior draws, on simulations that training has not seen, with tests whose error
# rate is stated: the verdict names what is too narrow or too wide.

# %%
calibration = estimator.calibration(jax.random.key(2))
print(calibration.verdict)

# %% [markdown]
# ## The posterior of an observation

# %%
observation = np.zeros(2, np.float32)
draws = np.asarray(estimator.sample(jax.random.key(3), 5000, observation)["theta"])
print(estimator.doubts(observation) or "the observation is like those that were simulated")
figure, axis = plt.subplots(figsize=(4, 4), layout="constrained")
axis.plot(*draws.T, ".", markersize=1)
_ = axis.set(xlabel="θ1", ylabel="θ2", xlim=(-1, 1), ylim=(-1, 1), aspect="equal")

# %% [markdown]
# Both crescents are there. From the command line: `pushforward infer two_moons.py:simulator --observation two_moons.json`;
# simulators that are programs, truncated rounds, learned likelihoods with chains and importance weights are in
# [inference from simulations](../inference-from-simulations.md).

# %%
assert (draws[:, 0] > 0).mean() > 0.2
assert (draws[:, 0] < 0).mean() > 0.2
