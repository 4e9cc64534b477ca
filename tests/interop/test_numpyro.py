"""Flows inside NumPyro models."""

import jax
import numpy as np
import pytest

from pushforward import flows
from tests.checks import randomised

numpyro = pytest.importorskip("numpyro", reason="numpyro is not installed")


@pytest.fixture
def flow():
    return randomised(flows.real_nvp(jax.random.key(0), 3, 2), jax.random.key(1), 0.3)


def test_it_is_the_same_distribution(flow):
    from pushforward.interop.numpyro import NumPyroDistribution

    wrapped = NumPyroDistribution(flow)
    assert (wrapped.batch_shape, wrapped.event_shape) == ((), (3,))
    x = wrapped.sample(jax.random.PRNGKey(0), (5,))
    np.testing.assert_array_equal(x, flow.sample(jax.random.PRNGKey(0), (5,)))
    np.testing.assert_array_equal(wrapped.log_prob(x), flow.log_prob(x))


def test_it_is_a_prior_and_expands(flow):
    from pushforward.interop.numpyro import NumPyroDistribution

    def model():
        with numpyro.plate("points", 4):
            numpyro.sample("z", NumPyroDistribution(flow))

    trace = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace()
    z = trace["z"]["value"]
    assert z.shape == (4, 3)
    log_density, _ = numpyro.infer.util.log_density(model, (), {}, {"z": z})
    np.testing.assert_allclose(log_density, flow.log_prob(z).sum(), rtol=1e-5)


def test_nuts_samples_it(flow):
    """The mean of 500 draws of NUTS lies within 5 standard errors of direct samples' in every dimension."""
    from pushforward.interop.numpyro import NumPyroDistribution

    kernel = numpyro.infer.NUTS(lambda: numpyro.sample("z", NumPyroDistribution(flow)))
    sampler = numpyro.infer.MCMC(kernel, num_warmup=300, num_samples=500, progress_bar=False)
    sampler.run(jax.random.PRNGKey(0))
    z = np.asarray(sampler.get_samples()["z"])
    direct = np.asarray(flow.sample(jax.random.key(2), (20_000,)))
    ess = numpyro.diagnostics.effective_sample_size(z[None])
    np.testing.assert_array_less(np.abs(z.mean(0) - direct.mean(0)), 5 * direct.std(0) / np.sqrt(ess))
