"""Permutations and rotations."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import LULinear, Permutation, Rotation
from tests.checks import randomised


@pytest.mark.slow
@pytest.mark.parametrize("dim", [1, 2, 5, 16])
@pytest.mark.parametrize("scale", [0, 1e-3, 1, 30])
def test_rotation_is_orthogonal_with_determinant_one(dim, scale, dtype):
    rotation = Rotation(scale * jax.random.normal(jax.random.key(dim), (dim, dim), dtype))
    matrix = np.asarray(jax.jacfwd(rotation.forward)(jnp.ones(dim, dtype)), np.float64)
    tolerance = 50 * (1 + scale) * dim * jnp.finfo(dtype).eps
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(dim), atol=tolerance)
    np.testing.assert_allclose(np.linalg.det(matrix), 1, atol=tolerance)


def test_rotation_in_the_plane(x64):
    angle = 0.7
    rotation = Rotation(jnp.array([[5.0, np.tan(angle / 2)], [0.0, -3.0]]))
    expected = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    np.testing.assert_allclose(jax.jacfwd(rotation.forward)(jnp.ones(2)), expected, rtol=1e-12)


def test_permutation_moves_without_loss():
    permutation = Permutation(jnp.array([2, 0, 1]))
    x = jnp.array([10.0, 20.0, 30.0])
    np.testing.assert_array_equal(permutation.forward(x), [30, 10, 20])
    np.testing.assert_array_equal(permutation.inverse(permutation.forward(x)), x)


@pytest.mark.parametrize("dim", [2, 3, 5])
def test_a_random_permutation_is_never_the_identity(dim):
    for seed in range(30):
        indices = Permutation.init(jax.random.key(seed), dim).indices
        np.testing.assert_array_equal(np.sort(indices), np.arange(dim))
        assert not np.array_equal(indices, np.arange(dim))


def test_a_matrix_from_its_factors(x64):
    layer = randomised(LULinear.init(jax.random.key(0), 4), jax.random.key(1))
    matrix = jax.jacfwd(layer.forward)(jnp.ones(4))
    np.testing.assert_allclose(jnp.linalg.slogdet(matrix)[1], layer.forward_and_log_det(jnp.ones(4))[1], rtol=1e-10)


def test_permutation_is_saved(tmp_path):
    saved, skeleton = (Permutation.init(jax.random.key(seed), 20) for seed in (0, 1))
    assert not np.array_equal(saved.indices, skeleton.indices)
    eqx.tree_serialise_leaves(tmp_path / "permutation.eqx", saved)
    loaded = eqx.tree_deserialise_leaves(tmp_path / "permutation.eqx", skeleton)
    np.testing.assert_array_equal(loaded.indices, saved.indices)


def test_a_permutation_moves_tangents_and_gradients_and_what_is_not_finite():
    permutation = Permutation(jnp.array([2, 0, 3, 1]))
    rows = jnp.array([[1.0, jnp.inf, 3.0, jnp.nan], [5.0, 6.0, -jnp.inf, 8.0]])
    moved = jax.vmap(permutation.forward)(rows)
    np.testing.assert_array_equal(moved, rows[:, np.array([2, 0, 3, 1])])
    np.testing.assert_array_equal(jax.vmap(permutation.inverse)(moved), rows)
    matrix = np.eye(4)[np.array([2, 0, 3, 1])]
    for jacobian in (jax.jacfwd, jax.jacrev):
        np.testing.assert_array_equal(jax.vmap(jacobian(permutation.forward))(rows), np.stack([matrix, matrix]))
        np.testing.assert_array_equal(jacobian(permutation.inverse)(rows[1]), matrix.T)
