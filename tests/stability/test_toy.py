"""The scale term in one dimension: formulas against autodiff, descent against what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pushforward.stability import (
    descend_scale,
    largest_stable_rate,
    scale_curvature,
    scale_gradient,
    scale_loss,
    scale_optimum,
)

DISTANCES = np.array([-5.0, -1.0, -0.1, 0.0, 0.3, 1.0, 3.0])


@pytest.fixture(params=[0.01, 1.0, 30.0])
def second_moment(request, x64):
    return jnp.asarray(request.param)


def test_the_loss_is_the_mean_over_the_data(x64):
    x = 3 * jax.random.normal(jax.random.key(0), (100,))
    u = jnp.asarray(-0.7)
    v = jnp.exp(u)
    per_sample = -jnp.log(v) + v**2 * x**2 / 2
    np.testing.assert_allclose(scale_loss(u, jnp.mean(x**2)), jnp.mean(per_sample), rtol=1e-12)
    # A constant away from the negative log-likelihood of N(0, 1 / v^2).
    mean_log_likelihood = np.mean(stats.norm.logpdf(x, scale=1 / v))
    np.testing.assert_allclose(jnp.mean(per_sample), -mean_log_likelihood - np.log(2 * np.pi) / 2, rtol=1e-12)


@pytest.mark.parametrize("e", DISTANCES)
def test_formulas_at_a_distance_from_the_optimum(e, second_moment):
    u = scale_optimum(second_moment) + e
    loss = jax.grad(scale_loss), jax.grad(jax.grad(scale_loss))
    np.testing.assert_allclose(scale_loss(u, second_moment), np.log(second_moment) / 2 - e + np.exp(2 * e) / 2)
    np.testing.assert_allclose(loss[0](u, second_moment), np.exp(2 * e) - 1, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(loss[1](u, second_moment), 2 * np.exp(2 * e), rtol=1e-9)
    np.testing.assert_allclose(scale_gradient(u, second_moment), loss[0](u, second_moment), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(scale_curvature(u, second_moment), loss[1](u, second_moment), rtol=1e-12)
    np.testing.assert_allclose(largest_stable_rate(u, second_moment), np.exp(-2 * e), rtol=1e-9)


def descend(e, rate, second_moment, steps=2000):
    """Distances from the optimum."""
    optimum = scale_optimum(second_moment)
    return np.asarray(descend_scale(optimum + e, jnp.full(steps, second_moment), rate) - optimum)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("e", [-2.0, 0.5])
def test_below_the_largest_stable_rate_the_optimum_is_reached(e, rate, second_moment):
    distances = descend(e, rate, second_moment)
    assert abs(distances[-1]) < 1e-12
    # Near the optimum each step multiplies the distance by 1 - 2 rate.
    near = descend(1e-6, rate, second_moment, 2)
    np.testing.assert_allclose(near[1] / near[0], 1 - 2 * rate, atol=1e-5)


@pytest.mark.parametrize("rate", [1.05, 1.5])
def test_above_it_the_optimum_is_left(rate, second_moment):
    distances = descend(1e-3, rate, second_moment)
    assert np.max(np.abs(distances[-10:])) > 0.1


def test_one_step_from_the_steep_side_ends_far_out_on_the_flat_one_which_is_crossed_slowly(second_moment):
    rate, e = 0.01, 4.0
    distances = descend(e, rate, second_moment)
    np.testing.assert_allclose(distances[1], e - rate * (np.exp(2 * e) - 1), rtol=1e-12)
    assert distances[1] < -25
    np.testing.assert_allclose(np.diff(distances[1:1001]), rate, rtol=1e-3)


def test_batches_of_the_data_have_second_moments_of_their_own(x64):
    moments = jnp.array([1.0, 4.0, 0.25])
    u = 0.3
    expected = [u]
    for moment in (1.0, 4.0, 0.25):
        u -= 0.1 * (moment * np.exp(2 * u) - 1)
        expected.append(u)
    np.testing.assert_allclose(descend_scale(jnp.asarray(0.3), moments, 0.1), expected, rtol=1e-12)
