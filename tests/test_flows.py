"""Recipes: their shapes, their starts, and what they refuse."""

import jax
import numpy as np
import pytest

from pushforward.bijections import Volume
from pushforward.distributions import Normal
from pushforward.flows import RECIPES, nice


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("length", [0, 3])
def test_recipe(recipe, length):
    base = Normal.standard(4)
    flow = RECIPES[recipe](jax.random.key(0), 4, length, base=base)
    assert flow.shape == (4,)
    assert flow.bijection.length == length
    assert flow.base is base
    assert RECIPES[recipe](jax.random.key(0), 4, length).base.trained


@pytest.mark.parametrize("recipe", RECIPES)
def test_negative_length_is_refused(recipe):
    with pytest.raises(ValueError, match="length must be 0 or more, got -1"):
        RECIPES[recipe](jax.random.key(0), 2, -1)


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_dimensions_are_refused(recipe):
    with pytest.raises(ValueError, match="dimension"):
        RECIPES[recipe](jax.random.key(0), 0, 2)


@pytest.mark.parametrize("mixing", ["rotation", "permutation", "none"])
def test_nice_preserves_volume_and_reaches_every_dimension(mixing):
    flow = nice(jax.random.key(0), 3, 4, mixing=mixing)
    x = jax.random.normal(jax.random.key(1), (3,))
    y, log_det = flow.bijection.forward_and_log_det(x)
    assert flow.bijection.volume == Volume.PRESERVING
    assert log_det == 0
    if mixing == "none":  # every network starts at zero
        np.testing.assert_array_equal(y, x)
    else:
        np.testing.assert_allclose(np.linalg.norm(y), np.linalg.norm(x), rtol=1e-5)


def test_nice_needs_two_dimensions():
    with pytest.raises(ValueError, match="at least 2 dimensions, got 1"):
        nice(jax.random.key(0), 1, 2)
