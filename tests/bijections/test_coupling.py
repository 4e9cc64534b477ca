"""Additive coupling: what stays, what moves, and the volume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import AdditiveCoupling, alternating_mask
from tests.checks import randomised


@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("dim", [2, 3, 5])
def test_masked_dimensions_stay_and_the_others_move_by_them_alone(dim, index):
    mask = alternating_mask(dim, index)
    fresh = AdditiveCoupling.init(jax.random.key(0), mask, width=8)
    layer = randomised(fresh, jax.random.key(1))
    x = jax.random.normal(jax.random.key(2), (dim,))
    np.testing.assert_array_equal(fresh.forward(x), x)
    moved = layer.forward(x) != x
    np.testing.assert_array_equal(moved, ~mask)
    shift = jax.jacfwd(layer.forward)(x) - jnp.eye(dim)
    np.testing.assert_array_equal(shift != 0, np.outer(~mask, mask))
    assert layer.forward_and_log_det(x)[1] == layer.inverse_and_log_det(x)[1] == 0


def test_alternating_mask():
    np.testing.assert_array_equal(alternating_mask(5), [True, False, True, False, True])
    np.testing.assert_array_equal(alternating_mask(4, 3), [False, True, False, True])
