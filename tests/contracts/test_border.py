"""What goes in: shapes, types and ways to call, of every bijection and every distribution."""

import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
import pytest

from pushforward.bijections import Chain, DiagonalAffine, Sigmoid
from pushforward.distributions import Normal, Pushforward
from pushforward.flows import RECIPES, glow
from tests.bijections.constructors import ENTRIES as BIJECTIONS
from tests.checks import assert_same, randomised
from tests.distributions.constructors import DISCRETE
from tests.distributions.constructors import ENTRIES as DISTRIBUTIONS

every_bijection = pytest.mark.parametrize("name", BIJECTIONS)
every_distribution = pytest.mark.parametrize("name", [*DISTRIBUTIONS, *DISCRETE])
every_recipe = pytest.mark.parametrize("recipe", RECIPES)


def bijection_of(name):
    return BIJECTIONS[name].build(jax.random.key(0), min(3, BIJECTIONS[name].dims), 0.5)


def distribution_of(name):
    return {**DISTRIBUTIONS, **DISCRETE}[name].build(jax.random.key(0), 3)


def flow_of(recipe):
    if recipe == "glow":
        return randomised(glow(jax.random.key(0), (4, 4, 1), 1, width=3, levels=1), jax.random.key(1), 0.1)
    return randomised(RECIPES[recipe](jax.random.key(0), 2, 2), jax.random.key(1), 0.2)


def wrong_shapes(shape):
    return {(), (1,), (5, *shape), (*shape, 1), (1, *shape), tuple(n + 1 for n in shape), shape[1:]} - {shape}


@pytest.mark.slow
@every_bijection
def test_a_bijection_answers_its_own_shape_only(name):
    bijection = bijection_of(name)
    for shape in wrong_shapes(bijection.shape):
        with pytest.raises(ValueError, match=r"use jax\.vmap"):
            bijection.forward_and_log_det(jnp.zeros(shape))
        with pytest.raises(ValueError, match=r"use jax\.vmap"):
            bijection.push_score(jnp.zeros(shape), jnp.zeros(shape))
    for shape in wrong_shapes(bijection.out_shape):
        with pytest.raises(ValueError, match=r"use jax\.vmap"):
            bijection.inverse_and_log_det(jnp.zeros(shape))
    for batch in (jnp.zeros((5, *bijection.out_shape, 1)), jnp.zeros(())):
        with pytest.raises(ValueError, match="expected a batch"):
            bijection.calibrate(batch)


@pytest.mark.slow
@every_distribution
def test_a_distribution_answers_batches_of_its_own_shape_only(name):
    distribution = distribution_of(name)
    for shape in ((), (4,), (5, 4), (3, 1)):
        with pytest.raises(ValueError, match="event shape"):
            distribution.log_prob(jnp.zeros(shape))
    assert distribution.log_prob(jnp.zeros((0, 3))).shape == (0,)
    assert distribution.sample(jax.random.key(0), 5).shape == (5, 3)
    np.testing.assert_array_equal(
        distribution.sample(jax.random.key(0), 5), distribution.sample(jax.random.key(0), (5,))
    )
    x, log_prob = distribution.sample_and_log_prob(jax.random.key(0), 5)
    assert x.shape == (5, 3)
    assert log_prob.shape == (5,)


@pytest.mark.slow
@every_distribution
def test_numbers_of_every_type(name):
    """Give what the same numbers give in the model's own type."""
    distribution = distribution_of(name)
    rows = np.array([[0, 1, 1], [1, 0, 1]])
    expected = distribution.log_prob(jnp.asarray(rows, jnp.float32))
    assert expected.dtype == jnp.float32
    frame = pd.DataFrame(rows, columns=["a", "b", "c"])
    given = [rows, rows.tolist(), frame, rows.astype(bool), jnp.asarray(rows), frame.astype("float64")]
    for x in [*given, *(rows.astype(kind) for kind in ("uint8", "float16", "float32", "float64", "int64"))]:
        actual = distribution.log_prob(x)
        assert actual.dtype == jnp.float32
        np.testing.assert_array_equal(actual, expected)
    for x in (rows * 1j, np.array([["a", "b", "c"]]), np.array([[None, 1, 2]])):
        with pytest.raises(ValueError, match="real numbers"):
            distribution.log_prob(x)


@pytest.mark.slow
@every_bijection
def test_a_bijection_computes_in_the_type_of_its_parameters(name):
    """Under x64 too, from numbers of a wider and of a narrower type; without parameters in that of the numbers."""
    made = bijection_of(name)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(jnp.float64) if eqx.is_inexact_array(leaf) else leaf, made)
        parameters = jax.tree.leaves(eqx.filter(made, eqx.is_inexact_array))
        x = np.full(made.shape, 0.25)

        @eqx.filter_jit
        def both(bijection, x):
            y, log_det = bijection.forward_and_log_det(x)
            back, log_det_back = bijection.inverse_and_log_det(y)
            return y, log_det, back, log_det_back

        for bijection, own, other in ((made, "float32", "float64"), (wide, "float64", "float32")):
            for kind in (own, other):
                expected = own if parameters else kind
                assert {result.dtype for result in both(bijection, jnp.asarray(x, kind))} == {jnp.dtype(expected)}
        y, log_det = wide.forward_and_log_det(np.zeros(made.shape, int))
        assert y.dtype == log_det.dtype == jnp.float64


def test_mixed_parameters_are_one_type(x64):
    narrow = DiagonalAffine(jnp.full(2, 0.1, jnp.float32), jnp.zeros(2, jnp.float32))
    wide = DiagonalAffine(jnp.full(2, 1e-12, jnp.float64), jnp.zeros(2, jnp.float64))
    chain = Chain((wide, narrow, Sigmoid((2,))))
    y, log_det = chain.inverse_and_log_det(chain.forward(jnp.array([0.1, 0.2])))
    assert y.dtype == log_det.dtype == jnp.float64
    np.testing.assert_allclose(y, [0.1, 0.2], rtol=1e-13)
    flow = Pushforward(Normal(jnp.zeros(2, jnp.float32), jnp.zeros(2, jnp.float64)), chain)
    x, log_prob = flow.sample_and_log_prob(jax.random.key(0), 4)
    assert x.dtype == log_prob.dtype == jnp.float64
    np.testing.assert_allclose(flow.log_prob(x), log_prob, rtol=1e-11)


@pytest.mark.slow
@every_recipe
def test_bound_methods_are_compiled(recipe):
    flow = flow_of(recipe)
    x = jax.jit(flow.sample, static_argnums=1)(jax.random.key(0), (4,))
    np.testing.assert_allclose(x, flow.sample(jax.random.key(0), (4,)), atol=1e-4)
    log_prob = jax.jit(flow.log_prob)
    np.testing.assert_allclose(log_prob(x), flow.log_prob(x), rtol=1e-4, atol=1e-4)
    other = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_inexact_array(leaf) else leaf, flow)
    assert not np.allclose(jax.jit(other.log_prob)(x), log_prob(x), atol=1e-4)


@every_recipe
def test_flows_are_pickled(recipe):
    flow = flow_of(recipe)
    copy = pickle.loads(pickle.dumps(flow))
    assert jax.tree.structure(copy) == jax.tree.structure(flow)
    assert_same(copy, flow)


@pytest.mark.slow
@every_bijection
def test_bijections_are_pickled(name):
    bijection = bijection_of(name)
    copy = pickle.loads(pickle.dumps(bijection))
    assert jax.tree.structure(copy) == jax.tree.structure(bijection)
    assert_same(copy, bijection)
