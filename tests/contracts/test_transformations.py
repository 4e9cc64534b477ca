"""JAX's transformations, of every bijection, distribution and recipe, in double precision."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import Continuous
from pushforward.distributions import Pushforward
from tests.bijections.constructors import ENTRIES as BIJECTIONS
from tests.contracts.test_border import bijection_of, distribution_of, every_recipe, flow_of
from tests.distributions.constructors import ENTRIES as DISTRIBUTIONS

STEP = 1e-4

long = pytest.mark.long
# One of each kind of parts; `make check-all` takes them all.
QUICK = ("planar", "spline", "deep sigmoidal", "affine coupling", "autoregressive, affine", "residual", "onto a box")
some_bijections = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in QUICK else long) for name in BIJECTIONS]
)


@pytest.fixture(autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def in_forward_mode(tree):
    """With every continuous layer open to forward-mode derivatives."""

    def opened(node):
        return dataclasses.replace(node, forward_mode=True, max_steps=64) if isinstance(node, Continuous) else node

    return jax.tree.map(opened, tree, is_leaf=lambda node: isinstance(node, Continuous))


def flat(function, shape):
    """A function of an event as one of a vector."""
    return lambda x: function(x.reshape(shape))


def assert_derivatives_agree(function, x):
    """Forward against reverse mode, the Hessian against differences of the gradient, everything compiled."""
    gradient = jax.jit(jax.grad(function))
    direction = jnp.cos(jnp.arange(1.0, x.size + 1))
    along = jax.jit(lambda x: jax.jvp(function, (x,), (direction,))[1])(x)
    np.testing.assert_allclose(along, gradient(x) @ direction, rtol=1e-6, atol=1e-8)
    second = jax.jit(jax.hessian(function))(x)
    np.testing.assert_allclose(second, second.T, rtol=1e-5, atol=1e-6)
    differences = (gradient(x + STEP * direction) - gradient(x - STEP * direction)) / (2 * STEP)
    np.testing.assert_allclose(second @ direction, differences, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@some_bijections
@pytest.mark.parametrize("direction", ["forward_and_log_det", "inverse_and_log_det"])
def test_derivatives_of_bijections(name, direction):
    """Of a sum of squares of the values and of the log-determinant, in the point."""
    bijection, entry = in_forward_mode(bijection_of(name)), BIJECTIONS[name]
    shape, place = (
        (bijection.shape, entry.domain) if direction.startswith("forward") else (bijection.out_shape, entry.codomain)
    )
    x = place(jax.random.normal(jax.random.key(3), shape)).ravel()

    def function(x):
        y, log_det = getattr(bijection, direction)(x.reshape(shape))
        return jnp.sum(y**2) + log_det

    assert_derivatives_agree(function, x)


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_derivatives_of_distributions(name):
    distribution = distribution_of(name)
    x = distribution.sample(jax.random.key(1))
    assert_derivatives_agree(flat(distribution.log_prob, distribution.shape), x.ravel())


@long
@every_recipe
def test_derivatives_of_recipes(recipe):
    flow = in_forward_mode(flow_of(recipe))
    x = flow.sample(jax.random.key(1))
    assert_derivatives_agree(flat(flow.log_prob, flow.shape), x.ravel())


@pytest.mark.slow
@some_bijections
def test_a_batch_of_bijections_is_each_of_them(name):
    """`vmap` over parameters and points, and over points of another axis."""
    entry = BIJECTIONS[name]
    dim = min(3, entry.dims)
    keys = jax.random.split(jax.random.key(0), 3)
    many = eqx.filter_vmap(lambda key: entry.build(key, dim, 0.5))(keys)
    shape = eqx.filter_eval_shape(entry.build, keys[0], dim, 0.5).shape
    x = entry.domain(jax.random.normal(jax.random.key(1), (3, *shape)))
    y, log_dets = eqx.filter_jit(eqx.filter_vmap(lambda bijection, x: bijection.forward_and_log_det(x)))(many, x)
    for index in range(3):
        one = jax.tree.map(lambda leaf, index=index: leaf[index] if eqx.is_array(leaf) else leaf, many)
        expected, log_det = one.forward_and_log_det(x[index])
        np.testing.assert_allclose(y[index], expected, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(log_dets[index], log_det, rtol=1e-6, atol=1e-9)
    last = jax.vmap(one.forward, in_axes=-1, out_axes=-1)(jnp.moveaxis(x, 0, -1))
    np.testing.assert_allclose(last[..., 2], expected, rtol=1e-6, atol=1e-9)


@long
@every_recipe
def test_derivatives_in_the_parameters(recipe):
    """Of a log-density: along a direction, forward against reverse mode."""
    flow = in_forward_mode(flow_of(recipe))
    x = flow.sample(jax.random.key(1))
    trained, fixed = eqx.partition(flow, eqx.is_inexact_array)

    def log_prob(trained):
        combined: Pushforward = eqx.combine(trained, fixed)
        return combined.log_prob(x)

    direction = jax.tree.map(lambda leaf: jnp.cos(jnp.arange(leaf.size, dtype=leaf.dtype)).reshape(leaf.shape), trained)
    gradient = jax.jit(jax.grad(log_prob))(trained)
    _, along = jax.jit(lambda trained: jax.jvp(log_prob, (trained,), (direction,)))(trained)
    expected = sum(jnp.vdot(a, b) for a, b in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction)))
    np.testing.assert_allclose(along, expected, rtol=1e-6)
