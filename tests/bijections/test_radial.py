"""The radial layer against Rezende & Mohamed, 2015, section 4.1 and appendix A.2."""

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from pushforward.bijections import Radial
from tests.checks import randomised


@given(seed=st.integers(0, 2**31 - 2), dim=st.integers(1, 6), scale=st.floats(0.01, 3))
def test_layer_is_that_of_the_paper(seed, dim, scale):
    with jax.enable_x64(True):
        layer = randomised(Radial.init(jax.random.key(seed), dim), jax.random.key(seed + 1), scale)
        z0, alpha = np.asarray(layer.z0), np.logaddexp(0, layer.raw_alpha)
        beta = -alpha + np.logaddexp(0, layer.raw_beta)
        z = np.random.default_rng(seed).normal(size=dim)
        r = np.linalg.norm(z - z0)
        h, h_slope = 1 / (alpha + r), -1 / (alpha + r) ** 2
        determinant = (1 + beta * h) ** (dim - 1) * (1 + beta * h + beta * h_slope * r)
        y, log_det = layer.forward_and_log_det(jnp.asarray(z))
        np.testing.assert_allclose(y, z + beta * h * (z - z0), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(np.exp(log_det), determinant, rtol=1e-9)


def test_equal_parameters_are_the_identity(dtype):
    layer = Radial(jnp.ones(3, dtype), jnp.asarray(0.3, dtype), jnp.asarray(0.3, dtype))
    x = jnp.array([1.5, -2.0, 0.1], dtype)
    y, log_det = layer.forward_and_log_det(x)
    np.testing.assert_allclose(y, x, rtol=4 * jnp.finfo(dtype).eps)
    np.testing.assert_allclose(log_det, 0, atol=8 * jnp.finfo(dtype).eps)


def test_distance_is_that_of_one_sample(x64):
    """A batch is many samples, not one long vector."""
    layer = Radial.init(jax.random.key(0), 3)
    x = jax.random.normal(jax.random.key(1), (5, 3))
    y, log_det = jax.vmap(layer.forward_and_log_det)(x)
    for i in range(5):
        np.testing.assert_allclose(y[i], layer.forward(x[i]), rtol=1e-12)
        np.testing.assert_allclose(log_det[i], layer.forward_and_log_det(x[i])[1], rtol=1e-12)


def test_centre_stays_with_its_own_derivative(x64):
    """At `z0`, where the norm has no gradient, the Jacobian is `(alpha + beta) / alpha` times the identity."""
    layer = randomised(Radial.init(jax.random.key(0), 3), jax.random.key(1))
    ratio = np.logaddexp(0, layer.raw_beta) / np.logaddexp(0, layer.raw_alpha)
    for point, method, factor in ((layer.z0, layer.forward, ratio), (layer.z0, layer.inverse, 1 / ratio)):
        np.testing.assert_array_equal(method(point), point)
        np.testing.assert_allclose(jax.jacfwd(method)(point), factor * np.eye(3), rtol=1e-12)
