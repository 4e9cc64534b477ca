"""Sharpness of a parabola, in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.stability import sharpness

DIAGONAL = np.array([1.0, 4.0, -0.5])
POINT = np.array([1.0, -2.0, 3.0])


def parabola(model):
    return jnp.sum(jnp.asarray(DIAGONAL, model["x"].dtype) * model["x"] ** 2) / 2 - 7


@pytest.mark.parametrize("keep", [[True, True, True], [True, False, True]])
@pytest.mark.parametrize("radius", [0.05, 1.0])
def test_one_step_up_a_parabola(radius, keep, x64):
    gradient = np.where(keep, DIAGONAL * POINT, 0)
    norm = np.linalg.norm(gradient)
    expected = radius * norm + radius**2 / 2 * np.sum(DIAGONAL * gradient**2) / norm**2
    found = sharpness({"x": jnp.asarray(POINT)}, parabola, radius=radius, mask={"x": jnp.asarray(keep)})
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_at_a_critical_point_there_is_no_way_up():
    assert sharpness({"x": jnp.zeros(3)}, parabola) == 0
