"""Inference from simulations: what is simulated, what is learned of it, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import norm

from pushforward.distributions import Normal, Uniform
from pushforward.errors import UserError
from pushforward.evaluation import predictive
from pushforward.inference.simulation import (
    Settings,
    Simulations,
    Simulator,
    estimate,
    estimate_likelihood,
    prior,
    simulate,
    truncated,
)
from pushforward.inference.simulation.embeddings import Embedded, network
from pushforward.studies.sbi_benchmark.tasks import TASKS
from pushforward.training import member

numpyro = pytest.importorskip("numpyro")

KEY = jax.random.key(0)
SMALL = Settings(layers=3, width=32, steps=1500)
PRIOR = prior({"theta": Normal.standard(2)})


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"):
        yield


def linear(key, theta):
    """x is N(theta, 1 / 4), so that the posterior of theta under N(0, I) is N(0.8 x, 0.2 I)."""
    return theta + 0.5 * jax.random.normal(key, (2,))


def on_host(rng, theta):
    return theta + 0.5 * rng.standard_normal(2)


@pytest.fixture(scope="module")
def pairs():
    with jax.numpy_rank_promotion("allow"):
        return simulate(PRIOR, Simulator(linear), KEY, 4000)


@pytest.fixture(scope="module")
def estimator(pairs):
    with jax.numpy_rank_promotion("allow"):
        return estimate(PRIOR, pairs, KEY, SMALL)


def test_a_linear_posterior_is_found_for_any_observation(estimator):
    """Means to 0.1 and standard deviations to 10%, a few times the errors of 4,000 simulations."""
    for x in (np.zeros(2), np.array([1.0, -2.0])):
        draws = estimator.sample(KEY, 4000, x)["theta"]
        assert np.abs(draws.mean(axis=0) - 0.8 * x).max() < 0.1
        assert np.abs(draws.std(axis=0) / np.sqrt(0.2) - 1).max() < 0.1
        assert abs(np.corrcoef(draws.T)[0, 1]) < 0.1


def test_the_posterior_is_the_average_of_the_flows(estimator):
    x = np.array([0.5, -1.0])
    z, log_q = estimator.coordinates(KEY, 999, x)
    each = [member(estimator.model.members, index)(x).log_prob(z) for index in range(4)]
    np.testing.assert_allclose(log_q, np.logaddexp.reduce(each, axis=0) - np.log(4), atol=1e-4)


@pytest.mark.slow
def test_of_few_simulations_flows_say_more_together_than_the_best_alone():
    task = TASKS["two-moons"]
    few, fresh = (simulate(task.prior, task.simulator, jax.random.key(seed), n) for seed, n in ((0, 400), (1, 4000)))
    model = estimate(task.prior, few, KEY, Settings(layers=3, width=32, steps=800, test=0.0)).model
    z, x = jnp.asarray(fresh.z, float), jnp.asarray(fresh.x, float)
    together = float(model.log_prob(x, z).mean())
    each = [float(member(model.members, index).log_prob(x, z).mean()) for index in range(4)]
    assert together > max(each) + 0.05


def test_it_is_calibrated_and_says_so(estimator):
    found = estimator.calibration(KEY)
    assert len(found.ranks) == 200
    assert not found.rejected
    assert found.names[:2] == ("theta[0]", "theta[1]")


def test_the_posterior_of_one_observation_is_judged(estimator):
    found = estimator.local_c2st(KEY, np.array([0.5, -1.0]))
    assert found.cases == 200
    assert not found.rejected


def test_test_pairs_have_the_expected_likelihood(estimator):
    """The posterior's entropy is log(2 pi e 0.2): within 0.1 nats, two standard errors of 200 pairs."""
    assert -estimator.trained.log_likelihoods[2] == pytest.approx(np.log(2 * np.pi * np.e * 0.2), abs=0.15)


def test_a_known_likelihood_makes_weights(estimator):
    """x is N(theta, 1 / 4) and theta N(0, I): log Z is that of N(0, 1.25 I), and moments are exact to their errors."""
    x = np.array([1.0, -0.5])

    def log_likelihood(x, theta):
        return jnp.sum(-2 * (x - theta) ** 2 - 0.5 * jnp.log(2 * jnp.pi * 0.25))

    found = estimator.weighted(KEY, x, log_likelihood)
    assert found.best.estimate.ess_fraction > 0.5
    expected = float(np.sum(-0.5 * x**2 / 1.25 - 0.5 * np.log(2 * np.pi * 1.25)))
    assert found.best.estimate.log_z == pytest.approx(expected, abs=5 * found.best.estimate.log_z_std_error + 1e-3)
    for index, value in enumerate(x):
        row = found.summary()[f"theta[{index}]"]
        assert abs(row.mean - 0.8 * value) < 5 * row.mean_error
        assert abs(row.sd - np.sqrt(0.2)) < 5 * row.sd_error


@pytest.mark.long
def test_the_posterior_is_followed_to_the_edge_of_the_prior():
    """A uniform prior and narrow noise: within 0.01 of the ends splines alone lose 7.6 nats, an affine layer 0.4."""
    unit = prior({"theta": Uniform(jnp.zeros(1), jnp.ones(1))})
    noisy = Simulator(lambda key, theta: theta + 0.01 * jax.random.normal(key, (1,)))
    pairs, fresh = (simulate(unit, noisy, jax.random.key(seed), n) for seed, n in ((0, 4000), (1, 20_000)))
    found = estimate(unit, pairs, KEY, Settings(members=1, test=0.0, steps=800))
    z = jnp.asarray(fresh.z, float)
    theta = np.asarray(jax.jit(unit.constrain)(z)["theta"], np.float64)
    mass = norm.cdf(1, fresh.x, 0.01) - norm.cdf(0, fresh.x, 0.01)
    exact = (norm.logpdf(theta, fresh.x, 0.01) - np.log(mass))[:, 0]
    lost = exact - np.asarray(found.model.log_prob(jnp.asarray(fresh.x, float), z) - unit.log_densities(z))
    edge = np.minimum(theta, 1 - theta)[:, 0] < 0.01
    assert lost[edge].mean() < 1.5
    assert abs(lost[~edge].mean()) < 0.1


def test_an_observation_unlike_the_simulations_is_named(estimator):
    assert estimator.doubts(np.zeros(2)) == []
    assert "x[0] 50 lies outside what was trained on" in estimator.doubts(np.array([50.0, 0.0]))[0]
    with pytest.raises(UserError, match=r"has the shape \(3,\), simulated ones \(2,\)"):
        estimator.sample(KEY, 10, np.zeros(3))
    with pytest.raises(UserError, match="not finite"):
        estimator.sample(KEY, 10, np.array([np.nan, 0.0]))


def test_an_observation_between_the_simulations_in_every_number_and_far_from_all(pairs):
    """Two numbers that are nearly equal in all simulations, and opposite in the observation."""
    rng = np.random.default_rng(0)
    z = np.asarray(pairs.z)
    x = z[:, :1] + 0.01 * rng.standard_normal((len(z), 2))
    found = estimate(PRIOR, Simulations(z, x), KEY, Settings(layers=1, width=8, steps=50)).doubts(np.array([1.0, -1.0]))
    assert found == ["the observation is farther from the middle of the simulated data than any of them"]


@pytest.mark.long
def test_a_likelihood_makes_the_same_posterior(pairs):
    """Differences of its log density are those of N(0.8 x, 0.2 I), to 0.3 nats a unit."""
    likelihood = estimate_likelihood(PRIOR, pairs, KEY, SMALL)
    x = np.array([0.5, -0.5])
    target = likelihood.posterior(x)
    for z in (np.array([0.4, -0.4]), np.array([0.9, 0.0])):
        expected = -0.5 * np.sum((z - 0.8 * x) ** 2) / 0.2
        found = target.log_density(jnp.asarray(z)) - target.log_density(jnp.asarray(0.8 * x))
        assert float(found) == pytest.approx(expected, abs=0.3)
    with pytest.raises(UserError, match="has the shape"):
        likelihood.posterior(np.zeros(3))


def test_truncated_draws_lie_where_the_posterior_does(estimator):
    x = np.array([1.0, 1.0])
    z = np.asarray(truncated(estimator, x, KEY)(KEY, 500))
    assert z.shape == (500, 2)
    # 99.99% of N(0.8, 0.2 I) lie within 4.3 standard deviations; flows are a little off.
    assert np.linalg.norm((z - 0.8) / np.sqrt(0.2), axis=1).max() < 5.5
    assert np.linalg.norm((z - 0.8) / np.sqrt(0.2), axis=1).mean() > 1.5


PRIORS = {
    "ours": {"theta": Uniform(jnp.zeros(2), jnp.ones(2)), "scale": Uniform(jnp.zeros(1), jnp.full(1, 3.0))},
    "numpyro": {"theta": numpyro.distributions.Uniform(0, 1).expand([2]), "scale": numpyro.distributions.HalfNormal()},
    "model": lambda: (
        numpyro.sample("theta", numpyro.distributions.Uniform(0, 1).expand([2])),
        numpyro.sample("scale", numpyro.distributions.HalfNormal()),
    ),
}


@pytest.mark.parametrize("kind", PRIORS)
def test_priors_are_drawn_from_in_their_support(kind):
    given = prior(PRIORS[kind])
    seen = simulate(given, Simulator(lambda key, theta, scale: jnp.append(theta, jnp.sum(scale))), KEY, 300)
    assert seen.z.shape == (300, 3)
    assert ((seen.x[:, :2] > 0) & (seen.x[:, :2] < 1)).all()
    assert (seen.x[:, 2] > 0).all()
    assert abs(seen.x[:, 0].mean() - 0.5) < 5 * np.sqrt(1 / 12 / 300)
    values = given.constrain(jnp.asarray(seen.z))
    np.testing.assert_allclose(values["theta"], seen.x[:, :2], rtol=1e-4)


def test_what_is_no_prior_is_refused():
    for wrong, message in (
        ({}, "has no parameters"),
        ({"theta": 3.0}, "the prior of theta is a float, no distribution"),
        (3.0, "is a float: give distributions by name"),
        (lambda: numpyro.sample("x", numpyro.distributions.Normal(), obs=1.0), "has no latent site"),
    ):
        with pytest.raises(UserError, match=message):
            prior(wrong)


def test_a_simulator_says_where_it_runs():
    assert Simulator(linear).where == "jax"
    assert Simulator(on_host).where == "host"
    with pytest.raises(UserError, match="must take `key` first"):
        Simulator(lambda theta: theta)
    with pytest.raises(UserError, match="takes the parameters mu, the prior has theta"):
        simulate(PRIOR, Simulator(lambda key, mu: mu), KEY, 100)


def test_host_and_compiled_simulators_have_one_law():
    seen = simulate(PRIOR, Simulator(on_host), KEY, 1000)
    again = simulate(PRIOR, Simulator(on_host), KEY, 1000)
    np.testing.assert_array_equal(seen.x, again.x)
    noise = seen.x - np.asarray(PRIOR.constrain(jnp.asarray(seen.z))["theta"])
    assert noise.std() == pytest.approx(0.5, rel=0.1)
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.15


def test_failures_are_counted_named_and_left_out():
    def fragile(rng, theta):
        if theta[0] > 1:
            raise ValueError("too large a theta")
        return theta if theta[0] > -1 else np.full(2, np.nan)

    seen = simulate(PRIOR, Simulator(fragile), KEY, 500)
    assert (np.abs(seen.x[:, 0]) <= 1).all()
    assert set(seen.failures) == {"ValueError: too large a theta", "its output is not finite"}
    assert seen.tried == 500
    assert "simulations failed and are left out; most often" in seen.complaint


def test_what_a_simulator_may_not_do():
    def shapes(rng, theta):
        return np.zeros(2 if theta[0] > 0 else 3)

    def fails(rng, theta):
        raise RuntimeError("never works")

    for wrong, message in (
        (shapes, "returns arrays of different shapes"),
        (fails, "fails on every one of 200 draws: RuntimeError: never works"),
        (lambda rng, theta: "text", "returns values of type <U4, not real numbers"),
        (lambda key, theta: float(theta[0]), "cannot be traced by JAX; write it with jax.numpy, or take `rng` first"),
        (lambda key, theta: theta[None] @ jnp.ones(3), "simulator failed: TypeError"),
        (lambda key, theta: theta * jnp.nan, "fails on every one of 200 draws: its output is not finite"),
    ):
        with pytest.raises(UserError, match=message):
            simulate(PRIOR, Simulator(wrong), KEY, 200)


def test_simulations_on_disk_are_not_made_again(tmp_path):
    first = simulate(PRIOR, Simulator(linear), KEY, 2500, folder=tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["00000.npz", "00001.npz", "00002.npz"]
    (tmp_path / "00001.npz").unlink()

    def other(key, theta):
        return theta + 100

    mixed = simulate(PRIOR, Simulator(other), KEY, 2500, folder=tmp_path)
    np.testing.assert_array_equal(mixed.z, first.z)
    np.testing.assert_array_equal(mixed.x[:1000], first.x[:1000])
    assert (mixed.x[1000:2000] > 50).all()
    seen = []
    whole = simulate(PRIOR, Simulator(linear), KEY, 2500, on_progress=seen.append)
    np.testing.assert_array_equal(whole.x, first.x)
    assert seen == [1000, 2000, 2500]


def test_a_set_has_no_order():
    made = network("set", (7, 2), KEY, 4, 16)
    x = jax.random.normal(KEY, (7, 2))
    np.testing.assert_allclose(made(x), made(x[::-1]), atol=1e-6)
    assert made(x).shape == (4,)


@pytest.mark.parametrize("length", [3, 8, 100])
def test_a_series_of_any_length_is_embedded(length):
    made = network("series", (length, 2), KEY, 4, 16)
    x = jax.random.normal(KEY, (length, 2))
    assert made(x).shape == (4,)
    assert not np.allclose(made(x), made(x[::-1]))
    gradient = jax.grad(lambda x: made(x).sum())(x)
    assert np.isfinite(gradient).all()


def test_embeddings_take_two_axes():
    with pytest.raises(UserError, match="a set has two axes"):
        network("set", (7,), KEY, 4, 16)


@pytest.mark.long
def test_a_mean_is_learned_from_a_set():
    """Of 20 draws of N(theta, 1): the posterior's standard deviation is that of N(0, 1) given their mean, to 15%."""

    def members(key, theta):
        return theta + jax.random.normal(key, (20, 1))

    given = prior({"theta": Normal.standard(1)})
    seen = simulate(given, Simulator(members), KEY, 3000)
    found = estimate(given, seen, KEY, Settings(layers=2, width=32, steps=2000, embedding="set"))
    assert isinstance(found.model.members.flow, Embedded)
    draws = found.sample(KEY, 4000, np.full((20, 1), 0.5))["theta"]
    assert draws.std() == pytest.approx(np.sqrt(1 / 21), rel=0.15)
    assert draws.mean() == pytest.approx(0.5 * 20 / 21, abs=0.1)


def test_predictions_hold_or_do_not():
    rng = np.random.default_rng(0)
    simulated = rng.standard_normal((1000, 3))
    good = predictive(simulated, np.array([0.1, -1.0, 1.5]), ["a", "b", "c"])
    assert not good.contradicts
    assert good.p_values[0] == pytest.approx(0.92, abs=0.1)
    bad = predictive(simulated, np.array([0.1, -1.0, 6.0]), ["a", "b", "c"])
    assert bad.contradicts
    assert "not predicted: c = 6" in bad.verdict
    with pytest.raises(ValueError, match="50 simulations or more"):
        predictive(simulated[:10], np.zeros(3), ["a", "b", "c"])


def test_too_few_simulations():
    few = Simulations(np.zeros((20, 2)), np.zeros((20, 2)))
    with pytest.raises(UserError, match="20 simulations; at least 50"):
        estimate(PRIOR, few, KEY)
    same = Simulations(np.random.default_rng(0).normal(size=(100, 2)), np.ones((100, 2)))
    with pytest.raises(UserError, match="do not vary"):
        estimate(PRIOR, same, KEY)
