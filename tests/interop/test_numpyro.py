"""Flows inside NumPyro models."""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows
from pushforward.bijections import Chain, Exp, PartialExp, Sigmoid, Softplus, Tanh
from pushforward.distributions import Bernoulli, Normal, Pushforward, Uniform, VonMises
from tests.checks import randomised

pytestmark = pytest.mark.long

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


def ending_in(kind, dim):
    return Pushforward(Normal.standard(dim), kind((dim,)))


def partly_positive(dim):
    flow = flows.real_nvp(jax.random.key(0), dim, 2)
    return Pushforward(flow.base, Chain((flow.bijection, PartialExp((True, *[False] * (dim - 1))))))


BOUNDED = {
    "exp": lambda dim: ending_in(Exp, dim),
    "softplus": lambda dim: ending_in(Softplus, dim),
    "sigmoid": lambda dim: ending_in(Sigmoid, dim),
    "tanh": lambda dim: ending_in(Tanh, dim),
    "angles": lambda dim: VonMises(jnp.full(dim, 0.5), jnp.zeros(dim)),
    "box": lambda dim: Uniform(jnp.full(dim, -1.0), jnp.full(dim, 100.0)),
}


def assert_nuts_agrees(flow):
    """The means of 500 draws and of their logarithms' sizes lie within 5 standard errors of direct samples'."""
    from pushforward.interop.numpyro import NumPyroDistribution

    kernel = numpyro.infer.NUTS(lambda: numpyro.sample("z", NumPyroDistribution(flow)))
    sampler = numpyro.infer.MCMC(kernel, num_warmup=300, num_samples=500, progress_bar=False)
    sampler.run(jax.random.PRNGKey(0), extra_fields=("diverging",))
    z = np.asarray(sampler.get_samples()["z"])
    assert sampler.get_extra_fields()["diverging"].sum() <= 5
    direct = np.asarray(flow.sample(jax.random.key(2), (20_000,)))
    for statistic in (lambda z: z, lambda z: np.log(np.abs(z) + 1e-3)):
        drawn, expected = statistic(z), statistic(direct)
        ess = numpyro.diagnostics.effective_sample_size(drawn[None])
        np.testing.assert_array_less(np.abs(drawn.mean(0) - expected.mean(0)), 5 * expected.std(0) / np.sqrt(ess))


def test_nuts_samples_it(flow):
    assert_nuts_agrees(flow)


@pytest.mark.parametrize("name", BOUNDED)
@pytest.mark.parametrize("dim", [1, 8])
def test_nuts_samples_what_has_ends(name, dim):
    assert_nuts_agrees(BOUNDED[name](dim))


def test_nuts_samples_circular_splines():
    flow = flows.nsf_coupling(jax.random.key(0), 4, 2, circular=True)
    assert_nuts_agrees(Pushforward(flow.base, randomised(flow.bijection, jax.random.key(1), 0.1)))


@pytest.mark.long
def test_nuts_samples_what_is_partly_positive():
    assert_nuts_agrees(partly_positive(3))


@pytest.mark.parametrize("make", [*BOUNDED.values(), partly_positive])
def test_the_support_and_the_map_onto_it(make):
    """Batches, log-determinants against those of the Jacobian, the way back, NumPyro's own checks."""
    from pushforward.interop.numpyro import NumPyroDistribution

    wrapped = NumPyroDistribution(make(3), validate_args=True)
    support = pickle.loads(pickle.dumps(wrapped.support))
    assert support == wrapped.support
    assert support.event_dim == 1
    assert not support.is_discrete
    onto = numpyro.distributions.biject_to(support)
    x = jax.random.normal(jax.random.key(0), (4, 2, 3))
    y = onto(x)
    assert support(y).shape == (4, 2)
    assert support(y).all()
    np.testing.assert_allclose(onto.inv(y), x, atol=1e-4)
    jacobians = jax.vmap(jax.vmap(jax.jacfwd(onto)))(x)
    np.testing.assert_allclose(onto.log_abs_det_jacobian(x, y), jnp.linalg.slogdet(jacobians)[1], atol=1e-5)
    assert support(support.feasible_like(x)).all()
    if make is not partly_positive:
        with pytest.warns(UserWarning, match="Out-of-support"):
            wrapped.log_prob(jnp.full(3, -1e3))


def test_a_discrete_distribution_is_no_latent_of_nuts():
    from pushforward.interop.numpyro import NumPyroDistribution

    coins = NumPyroDistribution(Bernoulli(jnp.zeros(3)))
    assert coins.support.is_discrete
    assert coins.support(jnp.array([0.0, 1.0, 1.0]))
    assert not coins.support(jnp.array([0.0, 0.5, 1.0]))
    assert not coins.support(jnp.array([0.0, 2.0, 1.0]))


# The package's own rule, which NumPyro's samplers of guides do not keep.
@jax.numpy_rank_promotion("allow")
def test_a_guide_of_numpyro_for_a_positive_prior():
    """The mean of the logarithms, which are N(0, 1) here, to 0.1."""
    from pushforward.interop.numpyro import NumPyroDistribution

    def model():
        numpyro.sample("z", NumPyroDistribution(ending_in(Exp, 3)))

    guide = numpyro.infer.autoguide.AutoNormal(model)
    svi = numpyro.infer.SVI(model, guide, numpyro.optim.Adam(0.01), numpyro.infer.Trace_ELBO(num_particles=8))
    fitted = svi.run(jax.random.PRNGKey(0), 1500, progress_bar=False)
    draws = guide.sample_posterior(jax.random.PRNGKey(1), fitted.params, sample_shape=(4000,))["z"]
    np.testing.assert_allclose(np.log(draws).mean(0), 0, atol=0.1)
    np.testing.assert_allclose(np.log(draws).std(0), 1, atol=0.1)
