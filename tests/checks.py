"""What several tests share."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

QUICK_RECIPES = ("planar", "nice", "nsf_coupling", "maf")


def long_but(quick, names):
    """The names as parameters of a test: `make test` takes those that are `quick`, the rest are marked as long."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.long) for name in names]


def randomised(tree, key, scale=1.0):
    """`tree` with every floating leaf drawn from `N(0, scale^2)`: no parameter is left at a convenient start."""
    trained, fixed = eqx.partition(tree, eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(trained)
    keys = jax.random.split(key, len(leaves) + 1)
    drawn = [scale * jax.random.normal(k, leaf.shape, leaf.dtype) for k, leaf in zip(keys, leaves)]
    return eqx.combine(jax.tree.unflatten(structure, drawn), fixed)


def scaled(tree, factor):
    """`tree` with every floating leaf multiplied by `factor`."""
    return jax.tree.map(lambda leaf: leaf * factor if eqx.is_inexact_array(leaf) else leaf, tree)


def floating_leaves(tree):
    """`(path, leaf)` of every floating leaf that holds a number."""
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(tree, eqx.is_inexact_array))
    return [(jax.tree_util.keystr(path), leaf) for path, leaf in leaves if leaf.size]


def assert_finite(tree):
    for path, leaf in floating_leaves(tree):
        assert jnp.all(jnp.isfinite(leaf)), f"{path} is {leaf}"


def assert_same(actual, expected):
    """Bit for bit."""
    jax.tree.map(np.testing.assert_array_equal, eqx.filter(actual, eqx.is_array), eqx.filter(expected, eqx.is_array))


def bin_midpoints(box, bins, fine):
    """Midpoints that cut each side of `box` into `bins * fine` pieces, and the volume of a piece."""
    edges = [np.linspace(low, high, bins * fine + 1) for low, high in box]
    middles = np.meshgrid(*[(edge[1:] + edge[:-1]) / 2 for edge in edges], indexing="ij")
    return np.stack(middles, axis=-1), np.prod([edge[1] - edge[0] for edge in edges])


def bin_masses(log_prob, box, bins=12, fine=32):
    """The mass of `exp(log_prob)` in each of `bins^D` boxes, by the midpoint rule."""
    points, volume = bin_midpoints(box, bins, fine)
    log_density = np.asarray(eqx.filter_jit(log_prob)(jnp.asarray(points, jnp.result_type(float))), np.float64)
    pieces = np.exp(log_density) * volume
    return pieces.reshape([bins, fine] * len(box)).sum(axis=tuple(range(1, 2 * len(box), 2)))


def chi_square_p_value(samples, masses, box):
    """p-value of the hypothesis that `samples` fall into equal bins of `box` with probabilities `masses`.

    Bins that expect fewer than 10 samples are counted as one, with all that lies outside the box.
    """
    counts, _ = np.histogramdd(np.asarray(samples, np.float64), [masses.shape[0]] * len(box), box)
    expected = len(samples) * masses
    large = expected >= 10
    observed = np.append(counts[large], len(samples) - counts[large].sum())
    expected = np.append(expected[large], len(samples) - expected[large].sum())
    # The last bin may be too small for the chi-square law: give it a floor instead of leaving it out.
    statistic = np.sum((observed - expected) ** 2 / np.maximum(expected, 10))
    return stats.chi2.sf(statistic, len(observed) - 1)
