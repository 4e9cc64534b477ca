"""What is particular to the smooth step: its levels, their masses, and the law of its log-density."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate

from pushforward.distributions import SmoothStep
from tests.checks import assert_finite


def mean(function):
    """The mean of a function of the density, by the Gauss-Legendre rule on each smooth piece."""
    nodes, weights = np.polynomial.legendre.leggauss(100)
    total = 0
    for low, high in ((-5, 0), (0, 2), (2, 5)):
        x = low + (high - low) * (1 + nodes) / 2
        density = np.exp(SmoothStep.standard(1).log_prob(jnp.asarray(x)[:, None]))
        total += np.sum((high - low) / 2 * weights * density * function(density))
    return total


def test_levels_and_masses(x64):
    law = SmoothStep.standard(1)
    x = np.array([-5.0, -2, 0, 1, 2, 3, 5])[:, None]
    np.testing.assert_allclose(np.exp(law.log_prob(jnp.asarray(x))), np.array([1, 1, 1, 6, 11, 11, 11]) / 50)
    np.testing.assert_allclose([mean(lambda p: p < 0.020001), mean(lambda p: p > 0.219999)], [0.1, 0.66], atol=2e-3)


def test_variance_of_the_log_density(x64):
    np.testing.assert_allclose(mean(np.ones_like), 1, rtol=1e-12)
    first, second = mean(np.log), mean(lambda p: np.log(p) ** 2)
    np.testing.assert_allclose(second - first**2, 0.567, atol=5e-4)


def test_outside_the_interval():
    x = jnp.array([[-5.001], [5.001], [1e30], [-jnp.inf]])
    values, gradients = jax.vmap(jax.value_and_grad(SmoothStep.standard(1).log_prob))(x)
    np.testing.assert_array_equal(values, -jnp.inf)
    np.testing.assert_array_equal(gradients, 0)


@pytest.mark.parametrize("x", [-5.0, -1.0, 0.0, 1e-20, 1.0, 2.0, 5.0])
def test_values_and_gradients_are_finite(x):
    assert_finite(jax.value_and_grad(SmoothStep.standard(1).log_prob)(jnp.array([x])))


def test_step_that_does_not_end_within_the_interval(x64):
    start, end, offset, height, growth = (jnp.full(1, value) for value in (0.5, 3.0, 1.0, 4.0, 0.2))
    law = SmoothStep(start, end, offset, height, growth)
    x = np.linspace(0.5, 3, 101)
    density = np.exp(law.log_prob(jnp.asarray(x)[:, None]))
    np.testing.assert_allclose(integrate.simpson(density, x=x), 1, rtol=1e-12)
