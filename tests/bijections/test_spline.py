"""Splines: knots, tails and the circle."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import CircularSpline, Spline
from tests.checks import assert_finite, randomised

BOUND = 3.0


def spline(scale, bins=6):
    return randomised(Spline.identity(1, bins, BOUND), jax.random.key(0), scale)


def test_it_starts_as_the_identity(dtype):
    x = jnp.linspace(-5, 5, 101)[:, None]
    y, log_det = jax.vmap(Spline.identity(1, 8, BOUND).forward_and_log_det)(x)
    np.testing.assert_allclose(y, x, atol=30 * jnp.finfo(dtype).eps)
    np.testing.assert_allclose(log_det, 0, atol=30 * jnp.finfo(dtype).eps)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1, 10, 1000])
@pytest.mark.parametrize("direction", ["forward_and_log_det", "inverse_and_log_det"])
def test_it_is_finite_and_monotone_across_knots_and_bounds(scale, direction):
    made = spline(scale)
    edges = -BOUND + jnp.cumsum(2 * BOUND * (1e-3 + (1 - 6e-3) * jax.nn.softmax(made.raw_widths[0])))
    special = jnp.concatenate([edges, -edges, jnp.array([-BOUND, BOUND, 0.0, 1e-30, -1e30, 1e30])])
    x = jnp.sort(jnp.concatenate([jnp.linspace(-4, 4, 400), special, jnp.nextafter(special, 0.0)]))

    def value(made, x):
        y, log_det = getattr(made, direction)(x[None])
        return y[0] + log_det, y[0]

    (_, y), gradients = jax.vmap(jax.value_and_grad(value, (0, 1), has_aux=True), (None, 0))(made, x)
    assert_finite((y, gradients))
    assert jnp.all(jnp.diff(y) >= -1e-5 * (1 + jnp.abs(y[1:])))


def test_slopes_join_the_tails():
    made = spline(1.0)
    slope = jax.vmap(jax.grad(lambda x: made.forward(x[None])[0]))(jnp.array([-BOUND + 1e-5, BOUND - 1e-5, BOUND + 1]))
    np.testing.assert_allclose(slope, 1, atol=2e-3)


def test_a_circular_spline_is_a_map_of_the_circle():
    made = randomised(CircularSpline.identity(1, 5), jax.random.key(0), 1.0)
    x = jnp.linspace(-math.pi, math.pi, 200, endpoint=False)[:, None]
    y, log_det = jax.vmap(made.forward_and_log_det)(x)
    turned, same = jax.vmap(made.forward_and_log_det)(x + 2 * math.pi)
    assert jnp.all((y >= -math.pi) & (y < math.pi))
    np.testing.assert_allclose(jnp.exp(1j * turned), jnp.exp(1j * y), atol=2e-5)
    np.testing.assert_allclose(same, log_det, atol=1e-3)
    ends = jax.vmap(made.forward_and_log_det)(jnp.array([[-math.pi + 1e-5], [math.pi - 1e-5]]))[1]
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-3)
    np.testing.assert_allclose(jnp.mean(jnp.exp(log_det)), 1, rtol=1e-2)
