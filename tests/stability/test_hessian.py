"""Lanczos against dense Hessians."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from pushforward.flows import real_nvp, residual
from pushforward.objectives import HeldOut
from pushforward.stability import parameter_groups, top_eigenvalues
from tests.checks import randomised

KEY = jax.random.key(0)
LOSS = HeldOut(2 * jax.random.normal(jax.random.key(5), (32, 2)) + 1)


def flow(recipe=real_nvp):
    return randomised(recipe(KEY, 2, 2, width=3, depth=1), jax.random.key(1), 0.5)


def dense(model, loss):
    parameters, rest = eqx.partition(model, eqx.is_inexact_array)
    point, unravel = ravel_pytree(parameters)
    return np.asarray(jax.jit(jax.hessian(lambda point: loss(eqx.combine(unravel(point), rest))))(point))


def largest(matrix, count):
    return np.linalg.eigvalsh(matrix)[::-1][:count]


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [real_nvp, residual])
def test_the_largest_eigenvalues_of_a_flow(recipe):
    model = flow(recipe)
    found = top_eigenvalues(model, LOSS, KEY, count=3, iterations=40)
    expected = largest(dense(model, LOSS), 3)
    np.testing.assert_allclose(found.values, expected, rtol=1e-4)
    assert np.all(found.errors < 1e-3 * expected)


@pytest.mark.slow
def test_double_precision(x64):
    model, loss = jax.tree.map(lambda leaf: leaf.astype(float) if leaf.dtype == "float32" else leaf, (flow(), LOSS))
    found = top_eigenvalues(model, loss, KEY, count=6, iterations=1000)
    np.testing.assert_allclose(found.values, largest(dense(model, loss), 6), rtol=1e-9)


@pytest.mark.slow
def test_the_block_of_a_group():
    model = flow()
    whole = dense(model, LOSS)
    for mask in parameter_groups(model).values():
        keep = np.asarray(ravel_pytree(mask)[0])
        found = top_eigenvalues(model, LOSS, KEY, count=3, iterations=20, mask=mask)
        np.testing.assert_allclose(found.values, largest(whole[np.ix_(keep, keep)], 3), rtol=1e-4)


def parabola(eigenvalues):
    size = len(eigenvalues)
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(size, size)))[0]
    matrix = jnp.asarray(rotation * eigenvalues @ rotation.T, jnp.result_type(float))
    return lambda x: x @ matrix @ x / 2


def test_an_eigenvalue_lies_within_the_error_of_each_value():
    eigenvalues = np.linspace(-1, 3, 60)
    for iterations in (3, 6, 12, 24, 60):
        found = top_eigenvalues(jnp.zeros(60), parabola(eigenvalues), KEY, count=3, iterations=iterations)
        gaps = np.min(np.abs(found.values[:, None] - eigenvalues), axis=1)
        assert np.all(gaps <= found.errors + 1e-5)
    assert np.all(found.errors < 1e-4)


@pytest.mark.parametrize("eigenvalues", [[-1.0, -1, -1, -2, -2], [0.0] * 5, [3.0] * 5, [0, 0, 0, 0, 7.0]])
def test_invariant_subspaces(eigenvalues):
    found = top_eigenvalues(jnp.ones(5), parabola(np.array(eigenvalues)), KEY, count=5, iterations=5)
    np.testing.assert_allclose(found.values, np.sort(eigenvalues)[::-1], atol=1e-5)


@pytest.mark.parametrize("count", [0, 6])
def test_count_has_bounds(count):
    with pytest.raises(ValueError, match="count must lie between 1 and 5"):
        top_eigenvalues(jnp.ones(5), parabola(np.ones(5)), KEY, count=count)
