"""Bounds of `log p(x)` against a linear-Gaussian model, where it is known and so is the divergence of a posterior."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows
from pushforward.evaluation.ais import WARMUP, linear_schedule, sigmoidal_schedule
from pushforward.models import DLGM, evaluation
from pushforward.models.evaluation import (
    EVALUATIONS_AT_ONCE,
    Annealing,
    annealed_bound,
    bidirectional_bounds,
    importance_bound,
    in_batches,
    posterior_statistics,
)
from tests.checks import assert_same, randomised
from tests.models import linear_gaussian
from tests.models.linear_gaussian import (
    COVARIANCE,
    DIM,
    LATENTS,
    NOISE,
    WEIGHT,
    X,
    divergence,
    kl,
    log_evidence,
    posterior_mean,
)

pytestmark = pytest.mark.long

BIAS = linear_gaussian.BIAS
KEY = jax.random.key(1)


def observations():
    return jnp.asarray(X, float)


def planar_model():
    """The posterior, and two planar layers that take it away from the exact one."""
    flow = randomised(flows.planar(jax.random.key(3), LATENTS, 2).bijection, jax.random.key(4), 0.5)
    return linear_gaussian.model(flow=flow, shift=0.3, stretch=1.4)


def at_once(monkeypatch, number):
    monkeypatch.setattr(evaluation, "EVALUATIONS_AT_ONCE", number)


@pytest.mark.parametrize(("n", "size"), [(7, 3), (7, 1), (7, 7), (7, 100), (6, 3), (1, 4)])
def test_in_batches_no_point_is_lost_or_doubled(n, size):
    model = linear_gaussian.model()
    inputs = jnp.arange(float(n)), jax.random.split(KEY, n)

    def function(model, x, key):
        return {"x": x, "noise": jax.random.normal(key, (2,))}, jnp.sum(model.decoder.networks[0].layers[0].bias)

    done = []
    (result, total) = in_batches(function, model, inputs, size, done.append)
    np.testing.assert_array_equal(result["x"], np.arange(n))
    np.testing.assert_array_equal(result["noise"], [jax.random.normal(key, (2,)) for key in inputs[1]])
    assert total.shape == (n,)
    assert all(isinstance(leaf, np.ndarray) for leaf in (*result.values(), total))
    assert done == [min(stop, n) for stop in range(min(size, n), n + min(size, n), min(size, n))]


def test_statistics_of_the_exact_posterior(x64):
    statistics = posterior_statistics(linear_gaussian.model(), observations(), KEY, draws=20)
    np.testing.assert_allclose(statistics.free_energy, -log_evidence(X), rtol=1e-10)


def test_statistics_of_a_gaussian_posterior(x64):
    """20,000 draws for each of 3 observations; 5 standard errors for 18 numbers: an error rate below 2e-5."""
    shift, stretch, draws = 0.4, 1.3, 20_000
    model = linear_gaussian.model(shift=shift, stretch=stretch)
    statistics = posterior_statistics(model, observations(), KEY, draws=draws)
    assert statistics.posterior_mean.shape == (3, LATENTS)
    covariance = stretch**2 * COVARIANCE
    z, log_q = eqx.filter_jit(lambda model, x: model.posterior(x).sample_and_log_prob(KEY, (draws,)))(
        model, observations()[0]
    )
    # The spread of each quantity over draws; it hardly depends on x.
    log_likelihood = jax.vmap(lambda z: model.decoder(z).log_prob(observations()[0]))(z)
    log_ratio = log_q - model.prior.log_prob(z)
    errors = [5 * np.std(values) / np.sqrt(draws) for values in (log_ratio - log_likelihood, log_likelihood, log_ratio)]
    for index, x in enumerate(X):
        mean = posterior_mean(x) + shift
        residual = x - BIAS - WEIGHT @ mean
        squared = residual @ residual + np.trace(WEIGHT @ covariance @ WEIGHT.T)
        reconstruction = DIM / 2 * np.log(2 * np.pi * NOISE**2) + squared / (2 * NOISE**2)
        prior = kl(mean, covariance, np.zeros(LATENTS), np.eye(LATENTS))
        expected = (-log_evidence(x) + divergence(shift, stretch), reconstruction, prior)
        np.testing.assert_allclose(expected[0], expected[1] + expected[2], rtol=1e-9)
        for values, wanted, error in zip(statistics[:3], expected, errors):
            assert abs(values[index] - wanted) < 1.5 * error
        deviation = np.sqrt(np.diag(covariance) / draws)
        assert np.all(np.abs(statistics.posterior_mean[index] - mean) < 5 * deviation)
    np.testing.assert_allclose(
        statistics.free_energy, statistics.reconstruction + statistics.divergence_from_prior, rtol=1e-10
    )


def test_statistics_do_not_depend_on_the_batches(monkeypatch):
    model, x = planar_model(), observations()
    whole = posterior_statistics(model, x, KEY, draws=6)
    for number in (1, 13):
        at_once(monkeypatch, number)
        for part, expected in zip(posterior_statistics(model, x, KEY, draws=6), whole):
            np.testing.assert_allclose(part, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("draws", "number"), [(12, 5), (7, 5), (12, 12), (60, 2048)])
def test_importance_sampling_from_the_exact_posterior_wastes_no_draw(draws, number, monkeypatch, x64):
    """Whatever the parts that the draws come in; an estimate that lost one would be off by the log of the share."""
    at_once(monkeypatch, number)
    done = []
    bound = importance_bound(linear_gaussian.model(), observations(), KEY, draws=draws, on_progress=done.append)
    np.testing.assert_allclose(bound.log_likelihood, log_evidence(X), rtol=1e-10)
    np.testing.assert_allclose(bound.ess, draws, rtol=1e-10)
    assert done[-1] == 3


def test_importance_sampling_in_parts_and_at_once(monkeypatch, x64):
    """4,000 draws of 30 equal observations each way; 5 standard errors: an error rate below 2e-5."""
    x = jnp.tile(observations()[:1], (30, 1))
    for number in (2048, 40):
        at_once(monkeypatch, number)
        bound = importance_bound(planar_model(), x, KEY, draws=4000)
        assert len(np.unique(bound.log_likelihood)) == 30
        assert np.all(bound.ess < 0.9 * 4000)
        assert np.all(bound.ess > 40)
        # The delta method, for one observation and for the mean of all.
        errors = np.sqrt((4000 / bound.ess - 1) / 4000)
        wrong = bound.log_likelihood - log_evidence(X[0])
        assert np.all(np.abs(wrong) < 5 * errors)
        assert abs(wrong.mean()) < 5 * errors.mean() / np.sqrt(30)
        assert np.std(wrong) < 2 * errors.mean()


def test_few_draws_are_a_lower_bound(x64):
    """4 draws from a wrong posterior for 1,000 equal observations: below the evidence by 5 standard errors or more."""
    x = jnp.tile(observations()[:1], (1000, 1))
    bound = importance_bound(planar_model(), x, KEY, draws=4)
    wrong = bound.log_likelihood - log_evidence(X[0])
    assert wrong.mean() < -5 * wrong.std() / np.sqrt(1000)
    assert np.all((bound.ess >= 1) & (bound.ess <= 4 * (1 + 1e-9)))


@pytest.mark.parametrize("start", ["prior", "posterior"])
def test_annealed_bound(start, monkeypatch):
    """48 chains for each of 3 observations; 5 standard errors, in which a part of the error is that of the error."""
    at_once(monkeypatch, 2 * 48)
    done = []
    annealing = Annealing(sigmoidal_schedule(50), chains=48, leapfrog_steps=4, start=start)
    bound = annealed_bound(planar_model(), observations(), KEY, annealing, on_progress=done.append)
    assert done == [2, 3]
    assert np.all(np.abs(bound.log_likelihood - log_evidence(X)) < 5 * bound.std_error + 1e-3)
    assert np.all(bound.std_error < 0.15)
    assert np.all((bound.acceptance > 0.4) & (bound.acceptance <= 1))


def test_annealing_from_the_exact_posterior_is_exact(x64):
    annealing = Annealing(linear_schedule(3), chains=3, leapfrog_steps=2)
    bound = annealed_bound(linear_gaussian.model(), observations(), KEY, annealing)
    np.testing.assert_allclose(bound.log_likelihood, log_evidence(X), rtol=1e-9)
    assert np.all(bound.std_error < 1e-8)
    assert annealing.evaluations == 3 * (1 + 2 * 2) + 4 * (1 + 2 * (WARMUP + 2))


def test_bidirectional_bounds_enclose_the_evidence():
    """On 300 simulated observations, by 2 chains of 16 temperatures: each side by 5 standard errors, not 0.3 nats."""
    key = jax.random.key(5)
    annealing = Annealing(linear_schedule(16), chains=2, leapfrog_steps=3, start="prior")
    model, done = linear_gaussian.model(), []
    bounds = bidirectional_bounds(model, key, annealing, points=300, on_progress=done.append)
    assert done[-1] == 300
    keys = jax.random.split(jax.random.split(key)[0], 300)
    x = eqx.filter_jit(lambda model: jax.vmap(lambda key: model.sample(key)[0])(keys))(model)
    truth = log_evidence(np.asarray(x, np.float64))
    for gap in (truth - bounds.lower, bounds.upper - truth):
        assert gap.mean() > 5 * gap.std() / np.sqrt(300)
        assert gap.mean() < 0.3


def test_bidirectional_bounds_from_the_exact_posterior_coincide(x64):
    annealing = Annealing(linear_schedule(3), chains=2, leapfrog_steps=2)
    bounds = bidirectional_bounds(linear_gaussian.model(), KEY, annealing, points=4)
    np.testing.assert_allclose(bounds.lower, bounds.upper, rtol=1e-9)
    assert len(np.unique(bounds.lower)) == 4


def test_same_key_same_bounds():
    first, again, other = (
        importance_bound(planar_model(), observations(), jax.random.key(seed), draws=5) for seed in (1, 1, 2)
    )
    assert_same(first, again)
    assert np.all(first.log_likelihood != other.log_likelihood)


def wide_model():
    """Large enough to fill the memory that the tests allow."""
    flow = flows.planar(jax.random.key(3), 3, 4).bijection
    return DLGM.init(jax.random.key(0), 64, (3,), flow=flow, hidden=(32,), activation="relu")


class Measured(Exception):
    """Carries the bytes that one batch needs, and the observations in it."""


def measured(monkeypatch, evaluate):
    """`(bytes, observations)` of the compiled program of a batch."""

    def compile_only(function, model, inputs, size, on_progress=None, enough=None):
        arrays, static = eqx.partition(model, eqx.is_array)

        def whole(arrays, batch):
            return jax.vmap(lambda inputs: function(eqx.combine(arrays, static), *inputs))(batch)

        batch = tuple(array[:size] for array in inputs)
        assert len(batch[0]) == size, "give more observations"
        compiled = jax.jit(whole).lower(arrays, batch).compile()
        raise Measured(compiled.memory_analysis().temp_size_in_bytes, size)

    monkeypatch.setattr(evaluation, "in_batches", compile_only)
    with pytest.raises(Measured) as raised:
        evaluate()
    return raised.value.args


MEMORY = 2**20


def test_memory_of_a_batch_does_not_depend_on_the_draws(monkeypatch):
    model, x = wide_model(), jnp.zeros((300, 64))
    (few, observations_few), (many, observations_many) = (
        measured(monkeypatch, lambda draws=draws: importance_bound(model, x, KEY, draws=draws, memory=MEMORY))
        for draws in (1000, 8000)
    )
    assert MEMORY / 20 < few < MEMORY
    assert MEMORY / 20 < many < MEMORY
    assert max(observations_few, observations_many) < 300


def test_memory_of_a_batch_of_few_draws(monkeypatch):
    """So that the batch has many observations, each with a posterior of its own."""
    model, x = wide_model(), jnp.zeros((2000, 64))
    used, observations = measured(monkeypatch, lambda: importance_bound(model, x, KEY, draws=2, memory=MEMORY))
    assert MEMORY / 20 < used < MEMORY
    assert observations > 10


def test_memory_of_a_batch_of_statistics(monkeypatch):
    model, x = wide_model(), jnp.zeros((300, 64))
    used, observations = measured(monkeypatch, lambda: posterior_statistics(model, x, KEY, draws=20, memory=MEMORY))
    assert MEMORY / 20 < used < MEMORY
    assert observations > 1


def test_memory_of_a_batch_of_annealed_chains(monkeypatch):
    model, x = wide_model(), jnp.zeros((300, 64))
    annealing = Annealing(linear_schedule(10), chains=8, leapfrog_steps=3)
    used, observations = measured(monkeypatch, lambda: annealed_bound(model, x, KEY, annealing, memory=MEMORY))
    assert MEMORY / 20 < used < MEMORY
    assert observations > 1


def test_observations_at_once_grow_with_the_memory(monkeypatch):
    model, x = wide_model(), jnp.zeros((2000, 64))
    used, numbers = zip(
        *(
            measured(monkeypatch, lambda memory=memory: importance_bound(model, x, KEY, draws=2, memory=memory))
            for memory in (1, 2**18, 2**20, 2**40)
        )
    )
    assert numbers[0] == 1
    assert 2 <= numbers[2] / numbers[1] <= 8
    assert used[1] < 2**18
    assert numbers[3] == EVALUATIONS_AT_ONCE // 2
