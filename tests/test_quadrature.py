"""Integrals over boxes against known ones."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.distributions import Normal
from pushforward.quadrature import Grid, log_integral


def log_normal(x, loc=0.0, scale=1.0):
    return -0.5 * jnp.sum(((x - loc) / scale) ** 2, axis=-1) - x.shape[-1] * math.log(scale * math.sqrt(2 * math.pi))


@pytest.mark.parametrize("dim", [1, 2])
def test_gaussian(dim, x64):
    box = tuple(zip([-9.0, -11.0][:dim], [10.0, 9.0][:dim]))
    assert abs(log_integral(lambda x: log_normal(x, 0.3, 0.8), box, 300)) < 1e-12


def test_float32_gaussian():
    assert abs(log_integral(lambda x: log_normal(x), ((-9.0, 9.0), (-9.0, 9.0)), 300)) < 1e-5


def test_polynomial_over_a_rectangle(x64):
    """The trapezoidal rule is exact for x y: the integral over [1, 3] x [0, 5] is 4 times 12.5."""
    value = log_integral(lambda x: jnp.log(x[..., 0] * x[..., 1]), ((1.0, 3.0), (0.0, 5.0)), 7)
    np.testing.assert_allclose(value, math.log(50), rtol=1e-12)


def test_huge_and_tiny_densities(x64):
    for shift in (-1e4, 1e4):
        value = log_integral(lambda x, shift=shift: log_normal(x) + shift, ((-9.0, 9.0),), 300)
        np.testing.assert_allclose(value, shift, rtol=1e-12)


def test_a_method_is_a_density(x64):
    assert abs(log_integral(Normal.standard(2).log_prob, ((-9.0, 9.0), (-9.0, 9.0)), 200)) < 1e-12


def test_grid_has_the_points_it_says():
    grid = Grid(((0.0, 1.0), (10.0, 14.0)), 5)
    assert grid.points.shape == (5, 5, 2)
    np.testing.assert_allclose(grid.points[2, 3], [0.5, 13])
    np.testing.assert_allclose(np.exp(grid.log_weights).sum(), 4)
    np.testing.assert_allclose(grid.evaluate(lambda x: x[..., 0] + 2 * x[..., 1])[1, 4], 0.25 + 28)


def test_kl_of_gaussians(x64):
    """KL(N(m, s^2) || N(0, 1)) is (s^2 + m^2 - 1) / 2 - log s."""
    grid = Grid(((-12.0, 12.0),), 2000)
    p, q = grid.evaluate(lambda x: log_normal(x, 0.7, 0.5)), grid.evaluate(lambda x: log_normal(x))
    np.testing.assert_allclose(grid.kl(p, q), (0.25 + 0.49 - 1) / 2 - math.log(0.5), rtol=1e-9)
    assert grid.kl(p, p) == 0


def test_kl_where_a_density_vanishes():
    grid = Grid(((0.0, 1.0),), 101)
    values = np.zeros(101)
    half = np.where(grid.axes[0] < 0.495, math.log(2), -np.inf)
    np.testing.assert_allclose(grid.kl(half, values), math.log(2), rtol=0.02)
    assert grid.kl(values, half) == np.inf


def test_evaluate_is_that_of_a_loop(x64):
    grid = Grid(((-1.0, 1.0), (-2.0, 2.0)), 4)
    looped = [[float(log_normal(jnp.asarray(point))) for point in row] for row in grid.points]
    np.testing.assert_allclose(grid.evaluate(jax.jit(log_normal)), looped, rtol=1e-12)
