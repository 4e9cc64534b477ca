"""A flow as a guide: NumPyro's SVI trains it, and its NUTS moves behind it."""

import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pushforward import flows
from pushforward.distributions import StudentT

numpyro = pytest.importorskip("numpyro", reason="numpyro is not installed")

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("guide")]

SIGMA = np.array([1.0, 2.0, 0.5])
Y = np.array([0.3, -1.0, 2.0])


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def model():
    """`mu ~ N(0, 1)`, local `theta_i ~ N(mu, 1)`, `y_i ~ N(theta_i, sigma_i)`, and a positive scale of its own."""
    mu = numpyro.sample("mu", numpyro.distributions.Normal(0, 1))
    numpyro.sample("s", numpyro.distributions.LogNormal(0, 1))
    with numpyro.plate("rows", 3):
        theta = numpyro.sample("theta", numpyro.distributions.Normal(mu, 1))
        numpyro.sample("y", numpyro.distributions.Normal(theta, SIGMA), obs=Y)


def exact():
    """Mean and variance of mu, and log Z."""
    variances = 1 + SIGMA**2
    precision = 1 + np.sum(1 / variances)
    covariance = np.diag(variances) + 1
    log_z = -0.5 * (Y @ np.linalg.solve(covariance, Y) + np.linalg.slogdet(2 * np.pi * covariance)[1])
    return np.sum(Y / variances) / precision, 1 / precision, log_z


@pytest.fixture(scope="module")
def trained():
    from pushforward.interop.guide import AutoFlow

    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guide = AutoFlow(
            model, lambda key, dim: flows.real_nvp(key, dim, 3, width=8, mixing="lu"), key=jax.random.key(0)
        )
        loss = numpyro.infer.Trace_ELBO(num_particles=32)
        svi = numpyro.infer.SVI(model, guide, optax.adam(optax.cosine_decay_schedule(1e-2, 1500)), loss)
        return guide, svi.run(jax.random.key(1), 1500, progress_bar=False)


def test_svi_finds_the_posterior(trained):
    guide, result = trained
    mean, variance, log_z = exact()
    assert float(jnp.mean(result.losses[-200:])) == pytest.approx(-log_z, abs=0.05)
    draws = guide.sample_posterior(jax.random.key(2), result.params, sample_shape=(4000,))
    assert draws["theta"].shape == (4000, 3)
    assert jnp.all(draws["s"] > 0)
    np.testing.assert_allclose(draws["mu"].mean(), mean, atol=0.1)
    np.testing.assert_allclose(draws["mu"].var(), variance, rtol=0.2)


def test_nuts_moves_behind_the_flow(trained):
    guide, result = trained
    neutra = numpyro.infer.reparam.NeuTraReparam(guide, result.params)
    kernel = numpyro.infer.NUTS(neutra.reparam(model))
    mcmc = numpyro.infer.MCMC(kernel, num_warmup=200, num_samples=1000, progress_bar=False)
    mcmc.run(jax.random.key(3))
    shared = mcmc.get_samples()["auto_shared_latent"]
    draws = neutra.transform_sample(shared)
    mean, variance, _ = exact()
    np.testing.assert_allclose(draws["mu"].mean(), mean, atol=0.12)
    np.testing.assert_allclose(draws["mu"].var(), variance, rtol=0.25)


def test_flows_that_do_not_fit_are_refused():
    from pushforward.interop.guide import AutoFlow

    for make, message in [
        (lambda key, dim: flows.planar(key, dim + 1, 1), "event shape"),
        (lambda key, dim: flows.planar(key, dim, 1, base=StudentT.standard(dim)), "the base of a guide is Normal"),
    ]:
        guide = AutoFlow(model, make, key=jax.random.key(0))
        with pytest.raises(ValueError, match=message):
            numpyro.handlers.seed(guide, jax.random.key(1))()
