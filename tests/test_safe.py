"""Elementary functions at the edges of floating point."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.safe import safe_norm


@pytest.mark.parametrize("size", [1e-15, 1.0, 1e4, 1e15])
def test_norm(size, dtype):
    value, gradient = jax.value_and_grad(safe_norm)(jnp.asarray([3 * size, 0, -4 * size], dtype))
    np.testing.assert_allclose(value, 5 * size, rtol=1e-6)
    np.testing.assert_allclose(gradient, [0.6, 0, -0.8], rtol=1e-6)


@pytest.mark.parametrize("size", [1e-18, 1e-20, 1e-23, 1e-30, 1e-40])
def test_norm_of_next_to_nothing(size, dtype):
    """Where its square underflows the norm may be 0, but neither value nor gradient may be wild."""
    value, gradient = jax.value_and_grad(safe_norm)(jnp.asarray([3 * size, 0, -4 * size], dtype))
    np.testing.assert_allclose(value, 5 * size, atol=1e-17)
    assert jnp.linalg.norm(gradient) < 1.5


def test_norm_of_zero(dtype):
    value, gradient = jax.value_and_grad(safe_norm)(jnp.zeros(3, dtype))
    assert value == 0
    np.testing.assert_array_equal(gradient, 0)


def test_second_derivative_of_the_norm(x64):
    x = jnp.array([1.0, -2.0, 2.0])
    expected = (np.eye(3) - np.outer(x, x) / 9) / 3
    np.testing.assert_allclose(jax.hessian(safe_norm)(x), expected, rtol=1e-12, atol=1e-12)
