"""What grey levels become: every kind, its frequencies and its range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pushforward.data.observe import Observation

KINDS = ("static", "dynamic", "thresholded", "continuous", "levels", "real")
N = 20_000


def observe(kind, images, levels=17, seed=0):
    return np.asarray(Observation(kind, levels)(jnp.asarray(images), jax.random.key(seed)))


def every_level(levels):
    """Each row is `0 ... levels - 1`."""
    return np.tile(np.arange(levels, dtype=np.uint8), (N, 1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5), (0, 5)])
@pytest.mark.parametrize("stored", ["uint8", "int32", "float32"])
def test_shape_and_dtype(kind, shape, stored, dtype):
    images = np.random.default_rng(0).integers(0, 2, shape).astype(stored)
    x = observe(kind, images, levels=2)
    assert x.shape == shape
    assert x.dtype == dtype


@pytest.mark.parametrize("kind", ["static", "levels", "real"])
def test_what_stays_as_it_is(kind):
    images = np.random.default_rng(0).integers(0, 256, (50, 7)).astype(np.uint8)
    np.testing.assert_array_equal(observe(kind, images), images)
    numbers = np.array([[-1.5, 0.25, 1e6]], np.float32)
    np.testing.assert_array_equal(observe(kind, numbers), numbers)


@pytest.mark.parametrize("levels", [17, 256])
def test_dynamic_pixels_are_1_as_often_as_they_are_white(levels, dtype):
    """20,000 draws of each level; 5 standard errors: an error rate below 2e-4 for all 256 of them."""
    x = observe("dynamic", every_level(levels), levels)
    assert set(np.unique(x)) == {0, 1}
    expected = np.arange(levels) / (levels - 1)
    error = np.sqrt(expected * (1 - expected) / N)
    np.testing.assert_array_equal(np.abs(x.mean(axis=0) - expected) <= 5 * error, True)
    assert np.all(x[:, 0] == 0)
    assert np.all(x[:, -1] == 1)


def test_dynamic_pixels_are_independent():
    """Correlations over 20,000 images of grey pixels, 5 standard errors: an error rate below 1e-5."""
    x = observe("dynamic", np.full((N, 5), 8, np.uint8))
    correlations = np.corrcoef(x.T)[np.triu_indices(5, 1)]
    assert np.all(np.abs(correlations) < 5 / np.sqrt(N))
    assert abs(np.corrcoef(x[1:, 0], x[:-1, 0])[0, 1]) < 5 / np.sqrt(N)


@pytest.mark.parametrize("kind", ["dynamic", "continuous"])
def test_noise_is_drawn_anew_with_every_key(kind):
    images = np.full((4, 20), 8, np.uint8)
    first, again, other = (observe(kind, images, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.any(first != other)
    assert len({row.tobytes() for row in first}) == 4


@pytest.mark.parametrize(("levels", "first_white"), [(2, 1), (3, 1), (16, 8), (17, 8), (256, 128)])
def test_thresholded_in_the_middle(levels, first_white, dtype):
    x = observe("thresholded", np.arange(levels, dtype=np.uint8)[None], levels)
    np.testing.assert_array_equal(x[0], np.arange(levels) >= first_white)
    # As far from both ends, for an even number of levels.
    assert levels % 2 or x.sum() == levels / 2


@pytest.mark.parametrize("levels", [2, 17, 256])
def test_continuous_is_uniform_inside_its_bin(levels, dtype):
    """Kolmogorov-Smirnov over all levels; right noise fails one of the 6 cases with probability 6e-4."""
    images = every_level(levels)[: 50_000 // levels]
    x = np.asarray(observe("continuous", images, levels), np.float64)
    assert np.all((x > 0) & (x < 1))
    np.testing.assert_allclose([x.min(), x.max()], [1e-4, 1 - 1e-4], atol=1e-3)
    assert np.all(np.isfinite(np.log(x) - np.log1p(-x)))
    inside = (x - 1e-4) / (1 - 2e-4) * levels - images
    assert np.all((inside > -1e-3) & (inside < 1 + 1e-3))
    assert stats.kstest(inside.ravel(), "uniform").pvalue > 1e-4


def test_continuous_ends_stay_off_0_and_1():
    x = observe("continuous", np.tile(np.array([0, 255], np.uint8), (N, 50)), 256)
    assert x.min() >= 1e-4 - 1e-6
    assert x.max() <= 1 - 1e-4 + 1e-6
