"""Annealed importance sampling against log Z and log p(x) known in closed form, from below and from above."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pushforward import flows
from pushforward.bijections import DiagonalAffine
from pushforward.distributions import MultivariateNormal, Normal, Pushforward
from pushforward.evaluation import (
    ais,
    importance_estimate,
    linear_schedule,
    log_mean_exp,
    reverse_ais,
    sigmoidal_schedule,
    tune_step_sizes,
)
from tests.checks import randomised

pytestmark = pytest.mark.long

DIM = 5
LOG_Z = 3.0
LOC = np.array([0.5, -0.5, 0.0, 0.3, -0.2])
# Over sqrt(1/2), so that the variance of the reverse weights from N(0, I) is finite for every schedule.
SCALE = np.array([0.8, 0.9, 1.0, 1.3, 0.75])


def gaussian(loc, scale):
    loc, log_scale = jnp.asarray(loc, float), jnp.log(jnp.asarray(scale, float))
    return Pushforward(Normal.standard(len(loc)), DiagonalAffine(loc, log_scale))


def prior(dim):
    return gaussian(np.zeros(dim), np.ones(dim))


def log_density(z):
    """N(LOC, diag(SCALE^2)) times exp(LOG_Z)."""
    loc, scale = jnp.asarray(LOC, float), jnp.asarray(SCALE, float)
    return LOG_Z + jnp.sum(jax.scipy.stats.norm.logpdf(z, loc, scale))


def exact_samples(key, n):
    return gaussian(LOC, SCALE).sample(key, (n,))


def uneven_schedule(temperatures):
    """Not symmetric, so that no distance between two betas can stand in for another."""
    return linear_schedule(temperatures) ** 1.5


def forward(temperatures, key, chains, start=None, leapfrog_steps=2):
    """Tuning and forward chains towards `log_density`."""

    @jax.jit
    def run(key):
        key_tune, key_ais = jax.random.split(key)
        path = log_density, prior(DIM) if start is None else start, uneven_schedule(temperatures)
        steps = tune_step_sizes(*path, key_tune, chains=16, leapfrog_steps=leapfrog_steps)
        return steps, ais(*path, steps, key_ais, chains=chains, leapfrog_steps=leapfrog_steps)

    return run(key)


def backward(temperatures, steps, key, n, leapfrog_steps=2):
    """One reverse chain from each of `n` exact samples."""

    @jax.jit
    @jax.vmap
    def run(z, key):
        path = log_density, prior(DIM), z, uneven_schedule(temperatures)
        return reverse_ais(*path, steps, key, chains=1, leapfrog_steps=leapfrog_steps)

    return run(exact_samples(key, n), jax.random.split(jax.random.fold_in(key, 1), n))


def z_score(values, mean):
    values = np.asarray(values, np.float64)
    return (values.mean() - mean) / (values.std(ddof=1) / np.sqrt(len(values)))


def test_weights_are_unbiased_in_both_directions(dtype):
    steps, result = forward(4, jax.random.key(0), 20_000)
    reverse = backward(4, steps, jax.random.key(1), 20_000)
    assert result.log_weights.dtype == dtype
    assert result.acceptance.shape == steps.shape == (3,)
    # Chains that did not keep each intermediate distribution would be far off. 4.5 standard errors: an error rate below
    # 1e-5 for each of the two.
    assert abs(z_score(np.exp(result.log_weights - LOG_Z), 1)) < 4.5
    assert abs(z_score(np.exp(LOG_Z - reverse.log_weights[:, 0]), 1)) < 4.5
    assert abs(result.log_z - LOG_Z) < 4.5 * result.log_z_std_error
    assert result.log_z_std_error < 0.01


def test_bounds_hold_and_close_in_on_the_truth():
    gaps = []
    for temperatures in (2, 8, 32):
        steps, result = forward(temperatures, jax.random.key(0), 4000)
        reverse = backward(temperatures, steps, jax.random.key(1), 4000)
        # The bounds by single chains, many standard errors away from the truth: an error rate below 1e-5.
        assert z_score(result.log_weights, LOG_Z) < -4.5
        assert z_score(reverse.log_weights[:, 0], LOG_Z) > 4.5
        gaps.append(float(jnp.mean(reverse.log_weights) - jnp.mean(result.log_weights)))
    assert gaps[1] < 0.4 * gaps[0]
    assert gaps[2] < 0.4 * gaps[1]
    # The gap is a symmetric Kullback-Leibler divergence: of order 1 / temperatures.
    assert gaps[2] < 0.1


def test_chains_from_one_exact_sample_share_their_start_only():
    path = log_density, prior(DIM), exact_samples(jax.random.key(2), 1)[0], linear_schedule(8)
    result = eqx.filter_jit(reverse_ais)(*path, jnp.full(7, 0.3), jax.random.key(0), chains=6, leapfrog_steps=4)
    assert result.log_weights.shape == (6,)
    assert result.acceptance.shape == (7,)
    assert len(np.unique(result.log_weights)) == 6
    assert result.log_z == pytest.approx(-np.log(np.mean(np.exp(-np.asarray(result.log_weights, float)))), abs=1e-5)
    without = reverse_ais(*path[:3], linear_schedule(1), jnp.zeros(0), jax.random.key(0), chains=6, leapfrog_steps=4)
    assert len(np.unique(without.log_weights)) == 1


def test_reverse_pairs_each_step_size_with_its_own_beta():
    """A step size far too large at the last intermediate distribution only: nothing is accepted there."""
    steps = jnp.array([0.3, 0.3, 0.3, 50.0])
    path = log_density, prior(DIM), exact_samples(jax.random.key(2), 1)[0], linear_schedule(5)
    reverse = eqx.filter_jit(reverse_ais)(*path, steps, jax.random.key(0), chains=50, leapfrog_steps=4)
    result = eqx.filter_jit(ais)(*path[:2], path[3], steps, jax.random.key(0), chains=50, leapfrog_steps=4)
    for acceptance in (result.acceptance, reverse.acceptance):
        assert np.all(acceptance[:3] > 0.5)
        assert acceptance[3] < 1e-3


def test_no_intermediate_distribution_is_importance_sampling(dtype):
    start = gaussian(LOC + 0.1, 1.2 * SCALE)
    key = jax.random.key(0)
    result = eqx.filter_jit(ais)(
        log_density, start, linear_schedule(1), jnp.zeros(0), key, chains=1000, leapfrog_steps=3
    )
    z, log_q = eqx.filter_jit(start.sample_and_log_prob)(jax.random.split(key)[0], (1000,))
    expected = jax.vmap(log_density)(z) - log_q
    np.testing.assert_allclose(result.log_weights, expected, atol=100 * jnp.finfo(dtype).eps)
    assert result.acceptance.shape == (0,)
    assert tune_step_sizes(log_density, start, linear_schedule(1), key, chains=2, leapfrog_steps=3).shape == (0,)


def test_a_perfect_start_gives_the_truth_with_every_chain():
    _, result = forward(32, jax.random.key(0), 8, gaussian(LOC, SCALE))
    np.testing.assert_allclose(result.log_weights, LOG_Z, atol=1e-4)
    assert result.log_z_std_error < 1e-4


class LinearGaussian:
    """z ~ N(0, I), x | z ~ N(W z + b, noise^2 I): p(x) and p(z | x) are Gaussian."""

    dim, width, noise = 3, 6, 0.5

    def __init__(self):
        rng = np.random.default_rng(0)
        self.weight, self.bias = rng.normal(size=(self.width, self.dim)), rng.normal(size=self.width)

    def simulate(self, n):
        rng = np.random.default_rng(1)
        z = rng.normal(size=(n, self.dim))
        return z @ self.weight.T + self.bias + self.noise * rng.normal(size=(n, self.width))

    def log_evidence(self, x):
        covariance = self.weight @ self.weight.T + self.noise**2 * np.eye(self.width)
        return stats.multivariate_normal(self.bias, covariance).logpdf(x)

    def posterior(self, x):
        """The mean for each x, and a square root of the covariance, which is the same for all."""
        covariance = np.linalg.inv(np.eye(self.dim) + self.weight.T @ self.weight / self.noise**2)
        return (x - self.bias) @ self.weight @ covariance / self.noise**2, np.linalg.cholesky(covariance)

    def deviation(self):
        """The standard deviation of each dimension of the posterior."""
        return np.linalg.norm(self.posterior(self.bias)[1], axis=1)

    def log_joint(self, z, x):
        logpdf = jax.scipy.stats.norm.logpdf
        mean = jnp.asarray(self.weight, float) @ z + jnp.asarray(self.bias, float)
        return jnp.sum(logpdf(z)) + jnp.sum(logpdf(x, mean, self.noise))


def starts_from_prior(model):
    return lambda mean: prior(model.dim)


def starts_from_wrong_gaussian(model):
    return lambda mean: gaussian(mean + 0.5 * model.deviation(), 1.5 * model.deviation())


def starts_from_planar(model):
    flow = flows.planar(jax.random.key(5), model.dim, 3, base=Normal.standard(model.dim))
    flow = randomised(flow, jax.random.key(6), 0.2)
    return lambda mean: Pushforward(Normal.standard(model.dim), flow.bijection)


def starts_from_another_base(model):
    base = MultivariateNormal.from_covariance(jnp.zeros(model.dim), 0.5 * jnp.eye(model.dim) + 0.1)
    return lambda mean: Pushforward(base, DiagonalAffine(mean, jnp.asarray(np.log(2 * model.deviation()), float)))


@pytest.mark.parametrize(
    "starts", [starts_from_prior, starts_from_wrong_gaussian, starts_from_planar, starts_from_another_base]
)
def test_log_evidence_of_a_linear_gaussian_model(starts):
    model, points, chains = LinearGaussian(), 4, 256
    x = model.simulate(points)
    truth, (mean, factor) = model.log_evidence(x), model.posterior(x)
    exact = mean[:, None] + np.random.default_rng(2).normal(size=(points, chains, model.dim)) @ factor.T
    start, betas = starts(model), sigmoidal_schedule(80)

    @jax.jit
    @jax.vmap
    def run(x, mean, exact, key):
        """Forward, and in reverse by one chain from each exact sample."""
        keys = jax.random.split(key, 3)
        path, settings = (partial(model.log_joint, x=x), start(mean)), {"leapfrog_steps": 5}
        steps = tune_step_sizes(*path, betas, keys[0], chains=16, **settings)

        def back(z, key):
            return reverse_ais(*path, z, betas, steps, key, chains=1, **settings).log_weights[0]

        reverse = jax.vmap(back)(exact, jax.random.split(keys[2], chains))
        return ais(*path, betas, steps, keys[1], chains=chains, **settings), log_mean_exp(-reverse)

    arrays = (jnp.asarray(array, float) for array in (x, mean, exact))
    result, (upper, upper_std_error) = run(*arrays, jax.random.split(jax.random.key(0), points))
    assert result.log_z.shape == (points,)
    # 5 standard errors, because the weights have heavier tails than a normal law, in reverse most of all.
    assert np.all(np.abs(result.log_z - truth) < 5 * result.log_z_std_error)
    assert np.all(np.abs(-upper - truth) < 5 * upper_std_error)
    assert np.all(result.log_z_std_error < 0.1)
    assert np.all(upper_std_error < 0.15)


def test_tuning_reaches_the_target_on_a_badly_scaled_density():
    scale = jnp.logspace(-2, 0, 20)
    betas, start = sigmoidal_schedule(60), prior(20)

    def density(z):
        return jnp.sum(jax.scipy.stats.norm.logpdf(z, 0.0, scale))

    settings = {"chains": 32, "leapfrog_steps": 5}
    for target in (0.65, 0.85):
        tune = jax.jit(
            lambda key, target=target: tune_step_sizes(
                density, start, betas, key, target_acceptance=target, transitions=2, **settings
            )
        )
        steps = tune(jax.random.key(0))
        result = eqx.filter_jit(ais)(density, start, betas, steps, jax.random.key(1), **settings)
        # The narrowest dimension, of scale 0.01, allows no step of 0.02 or more at the end.
        assert np.all(steps[-10:] < 0.02)
        assert np.all(steps[-10:] > 0.002)
        assert np.mean(result.acceptance[20:]) == pytest.approx(target, abs=0.1)


def test_no_trajectory_is_longer_than_a_quarter_period():
    steps, result = forward(20, jax.random.key(0), 16, gaussian(LOC, SCALE))
    np.testing.assert_allclose(steps, np.pi / 4, rtol=1e-5)
    assert np.all(result.acceptance > 0.65)


@pytest.mark.parametrize("outside", [np.nan, -np.inf])
def test_a_region_without_a_density(outside):
    """N(0, 1) cut off at 0, where all that is beyond is NaN or has density 0."""
    betas, start, chains = linear_schedule(8), prior(1), 2000

    def density(z):
        return jnp.where(z[0] < 0, jax.scipy.stats.norm.logpdf(z[0]), outside)

    @jax.jit
    def run(key):
        keys = jax.random.split(key)
        steps = tune_step_sizes(density, start, betas, keys[0], chains=16, leapfrog_steps=3)
        return steps, ais(density, start, betas, steps, keys[1], chains=chains, leapfrog_steps=3)

    steps, result = run(jax.random.key(0))
    assert np.all(steps > 0.2)
    epsilon = start.base.sample(jax.random.split(jax.random.split(jax.random.key(0))[1])[0], (chains,))[:, 0]
    inside = np.asarray(epsilon < 0)
    # A chain that starts inside never leaves, and has the weight 1; the others say what is wrong with them.
    np.testing.assert_allclose(result.log_weights[inside], 0, atol=1e-5)
    np.testing.assert_array_equal(result.log_weights[~inside], outside)
    np.testing.assert_allclose(result.log_z, np.nan if np.isnan(outside) else np.log(np.mean(inside)), atol=1e-5)


def test_a_density_that_is_nowhere_finite_stays_so():
    betas, settings = linear_schedule(4), {"chains": 8, "leapfrog_steps": 2}

    def density(z):
        return jnp.nan * z[0]

    steps = eqx.filter_jit(tune_step_sizes)(density, prior(2), betas, jax.random.key(0), **settings)
    assert np.all(np.isfinite(steps))
    assert np.isnan(eqx.filter_jit(ais)(density, prior(2), betas, steps, jax.random.key(0), **settings).log_z)


def test_evaluations_of_the_density():
    """`leapfrog_steps` a transition, and one for the start of each chain."""
    calls = []

    def density(z):
        jax.debug.callback(lambda: calls.append(1))
        return log_density(z)

    run = eqx.filter_jit(ais)(
        density, prior(DIM), linear_schedule(7), jnp.full(6, 0.3), jax.random.key(0), chains=1, leapfrog_steps=5
    )
    jax.block_until_ready(run.log_weights)
    jax.effects_barrier()
    assert len(calls) == 1 + 6 * 5


def test_vmap_is_a_loop_over_densities():
    locs, keys, betas = jnp.array([0.0, 1.0, -2.0]), jax.random.split(jax.random.key(0), 3), linear_schedule(6)

    def run(loc, key):
        def density(z):
            return -0.5 * jnp.sum((z - loc) ** 2)

        key_tune, key_ais = jax.random.split(key)
        steps = tune_step_sizes(density, prior(2), betas, key_tune, chains=4, leapfrog_steps=3)
        return ais(density, prior(2), betas, steps, key_ais, chains=5, leapfrog_steps=3)

    together = jax.jit(jax.vmap(run))(locs, keys)
    assert together.log_weights.shape == (3, 5)
    assert together.acceptance.shape == (3, 5)
    alone = jax.jit(run)
    for index in range(3):
        one = alone(locs[index], keys[index])
        np.testing.assert_allclose(together.log_weights[index], one.log_weights, rtol=1e-4, atol=1e-4)
        assert together.log_z[index] == pytest.approx(float(one.log_z), abs=1e-4)


@pytest.mark.parametrize("schedule", [linear_schedule, sigmoidal_schedule, partial(sigmoidal_schedule, delta=8.0)])
@pytest.mark.parametrize("temperatures", [1, 2, 7, 10_000])
def test_schedules_rise_from_0_to_1(schedule, temperatures, dtype):
    betas = schedule(temperatures)
    assert betas.shape == (temperatures + 1,)
    assert betas.dtype == dtype
    assert betas[0] == 0
    assert betas[-1] == 1
    assert np.all(np.diff(betas) > 0)
    np.testing.assert_allclose(betas, 1 - betas[::-1], atol=1e-6)


def test_sigmoidal_schedule_is_finest_at_its_ends():
    linear, sigmoidal = np.diff(linear_schedule(100)), np.diff(sigmoidal_schedule(100))
    assert sigmoidal[0] < 0.2 * linear[0]
    assert sigmoidal[-1] < 0.2 * linear[-1]
    np.testing.assert_allclose(sigmoidal_schedule(100, 1e-3), linear_schedule(100), atol=1e-5)


def test_schedules_refuse_what_is_not_a_path():
    for schedule in (linear_schedule, sigmoidal_schedule):
        with pytest.raises(ValueError, match="at least 1 temperature"):
            schedule(0)
    with pytest.raises(ValueError, match="delta must be positive"):
        sigmoidal_schedule(10, 0.0)


def test_log_mean_exp_agrees_with_importance_sampling():
    weights = np.random.default_rng(0).normal(size=(3, 1000)) - 700
    log_z, std_error = log_mean_exp(jnp.asarray(weights, float))
    for row in range(3):
        estimate = importance_estimate(weights[row])
        assert log_z[row] == pytest.approx(estimate.log_z, rel=1e-6)
        assert std_error[row] == pytest.approx(estimate.log_z_std_error, rel=1e-2)
    # Weights 1 and 3: mean 2, standard deviation sqrt(2), of the mean 1.
    assert log_mean_exp(jnp.log(jnp.array([1.0, 3.0])))[1] == pytest.approx(0.5)
    assert np.isnan(log_mean_exp(jnp.zeros(1))[1])
    assert log_mean_exp(jnp.full(10, -jnp.inf))[0] == -jnp.inf
