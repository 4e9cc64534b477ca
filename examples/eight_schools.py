"""Eight schools, centred: a hierarchical model whose posterior has the shape of a funnel (Rubin, 1981)."""

import numpyro
import numpyro.distributions as dist


def model(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfCauchy(5))
    with numpyro.plate("schools", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
