"""The energies of Rezende & Mohamed, 2015, Table 1, against formulas written again in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate
from scipy.special import expit

from pushforward.targets import make
from pushforward.targets.energies import ENERGIES, wall


def w1(x):
    return np.sin(2 * np.pi * x / 4)


def bump(x, scale):
    return np.exp(-0.5 * (x / scale) ** 2)


DENSITIES = {
    "u1": lambda x, y: bump(np.hypot(x, y) - 2, 0.4) * (bump(x - 2, 0.6) + bump(x + 2, 0.6)),
    "u2": lambda x, y: bump(y - w1(x), 0.4),
    "u3": lambda x, y: bump(y - w1(x), 0.35) + bump(y - w1(x) + 3 * bump(x - 1, 0.6), 0.35),
    "u4": lambda x, y: bump(y - w1(x), 0.4) + bump(y - w1(x) + 3 * expit((x - 1) / 0.3), 0.35),
}
LOG_Z_WITHOUT_WALL = {"u1": 1.8775, "u2": 2.0821, "u3": 2.6417, "u4": 2.6846}
every_energy = pytest.mark.parametrize("name", ENERGIES)


def simpson(density, half, size=1601):
    axis = np.linspace(-half, half, size)
    return np.log(integrate.simpson(integrate.simpson(density(axis[:, None], axis[None]), x=axis), x=axis))


@every_energy
def test_energy_is_the_formula(name, x64):
    points = np.random.default_rng(0).uniform(-4, 4, size=(500, 2))
    expected = DENSITIES[name](*points.T)
    values = np.exp(-np.asarray(jax.vmap(ENERGIES[name])(jnp.asarray(points))))
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-300)


@every_energy
def test_log_z_without_the_wall(name, x64):
    def density(x, y):
        points = jnp.stack(jnp.broadcast_arrays(jnp.asarray(x), jnp.asarray(y)), axis=-1)
        return np.exp(-np.asarray(jax.vmap(jax.vmap(ENERGIES[name]))(points)))

    assert round(simpson(density, 4.0), 4) == LOG_Z_WITHOUT_WALL[name]
    assert round(simpson(DENSITIES[name], 4.0), 4) == LOG_Z_WITHOUT_WALL[name]


@every_energy
def test_log_z_with_the_wall(name):
    def density(x, y):
        outside = np.maximum(np.abs(x) - 4, 0) ** 2 + np.maximum(np.abs(y) - 4, 0) ** 2
        return DENSITIES[name](x, y) * np.exp(-0.5 * outside / 0.1**2)

    np.testing.assert_allclose(make(name).log_z, simpson(density, 5.0, 2001), atol=2e-5)


def test_wall_is_nothing_inside_and_stiff_outside(x64):
    inside = jnp.array([[0.0, 0.0], [4.0, -4.0], [-3.9, 3.9]])
    np.testing.assert_array_equal(jax.vmap(wall)(inside), 0)
    np.testing.assert_allclose(wall(jnp.array([4.2, -4.1])), (2**2 + 1) / 2)
    np.testing.assert_array_equal(jax.vmap(jax.grad(wall))(inside), 0)


@pytest.mark.slow
@every_energy
def test_no_plateau_far_away(name):
    """The gradient points home at any distance; `log(a + b + 1e-9)` has none there."""
    log_density = make(name).log_density
    for x in ([0.0, 30.0], [0.0, -30.0], [30.0, 1.0], [-30.0, 1.0]):
        gradient = np.asarray(jax.grad(log_density)(jnp.array(x)))
        assert gradient @ np.asarray(x) < -1
