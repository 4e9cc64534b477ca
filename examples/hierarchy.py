"""A hierarchical regression in NumPyro, not centred: slopes of groups around a common one."""

import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist


def model(x, y, group):
    common = numpyro.sample("common", dist.Normal(0, 2))
    spread = numpyro.sample("spread", dist.HalfNormal(1))
    with numpyro.plate("groups", 1 + max(group)):
        offset = numpyro.sample("offset", dist.Normal(0, 1))
    slope = jnp.asarray(numpyro.deterministic("slope", common + spread * offset))
    noise = numpyro.sample("noise", dist.HalfNormal(1))
    numpyro.sample("y", dist.Normal(slope[group] * x, noise), obs=y)
