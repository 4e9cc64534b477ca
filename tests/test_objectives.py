"""Objectives: their value where it is known, and two estimators of one gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp

from pushforward.bijections import DiagonalAffine
from pushforward.distributions import Normal, Pushforward
from pushforward.flows import planar
from pushforward.objectives import ForwardKL, HeldOut, annealing, free_energy
from pushforward.targets import make
from tests.checks import floating_leaves, randomised

LOC, LOG_SCALE, LOG_Z = np.array([0.5, -2.0]), np.array([0.3, -1.0]), 1.7


def log_density(x):
    """The density of `exact_flow`, times `exp(LOG_Z)`."""
    noise = (x - LOC[None]) * np.exp(-LOG_SCALE)[None]
    return -0.5 * jnp.sum(noise**2, axis=-1) - LOG_SCALE.sum() - np.log(2 * np.pi) + LOG_Z


def exact_flow():
    return Pushforward(Normal.standard(2, trained=True), DiagonalAffine(jnp.asarray(LOC), jnp.asarray(LOG_SCALE)))


@pytest.mark.parametrize("stick_the_landing", [False, True])
def test_exact_fit_has_the_free_energy_minus_log_z_without_variance(stick_the_landing, x64):
    for seed in range(5):
        value = free_energy(exact_flow(), log_density, jax.random.key(seed), 1, stick_the_landing=stick_the_landing)
        np.testing.assert_allclose(value, -LOG_Z, rtol=1e-12)


@pytest.mark.parametrize("stick_the_landing", [False, True])
def test_gradient_at_an_exact_fit(stick_the_landing, x64):
    gradient = eqx.filter_grad(
        lambda flow: free_energy(flow, log_density, jax.random.key(0), 8, stick_the_landing=stick_the_landing)
    )
    largest = max(float(jnp.max(jnp.abs(leaf))) for _, leaf in floating_leaves(gradient(exact_flow())))
    assert largest < 1e-12 if stick_the_landing else largest > 0.01


def test_both_gradients_agree_in_expectation(x64):
    """Over 4,000 keys no leaf's mean difference is beyond 5 standard errors: by chance with probability 1e-5."""
    target = make("u2")
    flow = randomised(planar(jax.random.key(0), 2, 2), jax.random.key(1), 0.5)

    @eqx.filter_jit
    def differences(keys):
        def gradient(key, stick_the_landing):
            return eqx.filter_grad(
                lambda flow: free_energy(flow, target.log_densities, key, 4, stick_the_landing=stick_the_landing)
            )(flow)

        return jax.vmap(lambda key: jax.tree.map(jnp.subtract, gradient(key, True), gradient(key, False)))(keys)

    for path, difference in floating_leaves(differences(jax.random.split(jax.random.key(2), 4000))):
        error = np.std(difference, axis=0) / np.sqrt(len(difference))
        assert np.all(error > 0), f"the two estimators are the same in {path}"
        assert np.all(np.abs(np.mean(difference, axis=0)) < 5 * error), path


def test_free_energy_is_an_upper_bound_with_the_kl_as_gap(x64):
    """Against KL on a grid, at a flow that is far from u2; 200,000 draws, 5 standard errors."""
    target = make("u2")
    flow = randomised(planar(jax.random.key(0), 2, 2), jax.random.key(1), 0.3)
    axis = np.linspace(-9, 9, 500)
    points = jnp.asarray(np.stack(np.meshgrid(axis, axis), axis=-1))
    log_q, log_p = (np.asarray(eqx.filter_jit(f)(points)) for f in (flow.log_prob, target.log_densities))
    log_mass = log_q + 2 * np.log(axis[1] - axis[0])
    assert abs(logsumexp(log_mass)) < 1e-3
    expected = np.sum(np.exp(log_mass) * (log_q - log_p))
    x, log_prob = flow.sample_and_log_prob(jax.random.key(2), (200_000,))
    error = np.std(log_prob - target.log_densities(x)) / np.sqrt(200_000)
    actual = free_energy(flow, target.log_densities, jax.random.key(2), 200_000)
    assert abs(actual - expected) < 5 * error + 1e-2 * abs(expected) * 1e-1
    assert actual > -target.log_z


@pytest.mark.parametrize("beta", [0.0, 0.3, 1.0])
def test_beta_tempers_the_target_alone(beta, x64):
    flow, key = exact_flow(), jax.random.key(0)
    x, log_q = flow.sample_and_log_prob(key, (50,))
    expected = np.mean(log_q - beta * log_density(x))
    np.testing.assert_allclose(free_energy(flow, log_density, key, 50, beta=beta), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("step", "steps", "beta"),
    [(0, 100, 0.01), (50, 100, 0.51), (99, 100, 1), (100, 100, 1), (10_000, 100, 1), (0, 0, 1), (5, 0, 1)],
)
def test_annealing(step, steps, beta):
    np.testing.assert_allclose(annealing(jnp.asarray(step), steps), beta, rtol=1e-6)


def test_forward_kl_of_batches_is_that_of_the_data():
    """The mean of 2,000 minibatches lies within 5 standard errors of the mean over all rows."""
    flow = Normal.standard(2)
    data = 2 + jax.random.normal(jax.random.key(0), (500, 2))
    loss = ForwardKL(data, 16)
    draws = jax.vmap(lambda key: loss(flow, key, jnp.zeros((), int)))(jax.random.split(jax.random.key(1), 2000))
    expected = -flow.log_prob(data).mean()
    assert abs(draws.mean() - expected) < 5 * draws.std() / 2000**0.5
    np.testing.assert_allclose(HeldOut(data)(flow), expected, rtol=1e-6)


@pytest.mark.parametrize("batch_size", [1, 7, 10, 64])
def test_held_out_rows_come_in_their_order_whatever_the_batch(batch_size):
    data = jax.random.normal(jax.random.key(0), (10, 2))
    flow = Normal.standard(2)
    np.testing.assert_allclose(HeldOut(data, batch_size).each(flow, jax.random.key(1)), flow.log_prob(data), rtol=1e-6)
