"""A hierarchical regression in PyMC: slopes of groups around a common one."""

import numpy as np
import pymc as pm

RNG = np.random.default_rng(0)
GROUP = np.repeat(np.arange(4), 10)
X = RNG.normal(size=40)
Y = (1 + 0.3 * RNG.normal(size=4))[GROUP] * X + 0.5 * RNG.normal(size=40)

with pm.Model() as model:
    common = pm.Normal("common", 0, 2)
    spread = pm.HalfNormal("spread", 1)
    slope = pm.Normal("slope", common, spread, shape=4)
    noise = pm.HalfNormal("noise", 1)
    pm.Normal("y", slope[GROUP] * X, noise, observed=Y)
