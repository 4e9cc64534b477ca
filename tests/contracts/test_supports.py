"""Where distributions have their mass, and where bijections send boxes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows
from pushforward.bijections import (
    Chain,
    DiagonalAffine,
    Exp,
    Inverse,
    OntoBox,
    PartialExp,
    Permutation,
    Planar,
    Sigmoid,
    Spline,
    Stack,
    Tanh,
)
from pushforward.boxes import Box
from pushforward.distributions import Mixture, Normal, Pushforward, Uniform
from tests.bijections.constructors import ENTRIES as BIJECTIONS
from tests.checks import randomised
from tests.contracts.test_border import distribution_of, every_recipe, flow_of
from tests.distributions.constructors import DISCRETE
from tests.distributions.constructors import ENTRIES as DISTRIBUTIONS

UNIT = Box.between(0, 1, (2,))


def assert_box(box, low, high):
    np.testing.assert_allclose(box.low, low, rtol=1e-6)
    np.testing.assert_allclose(box.high, high, rtol=1e-6)


def assert_holds_its_samples(distribution):
    support = distribution.support
    assert support.low.shape == support.high.shape == distribution.shape
    assert support.contains(distribution.sample(jax.random.key(0), 1000)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_distributions(name):
    distribution = distribution_of(name)
    assert_holds_its_samples(distribution)
    if name != "von mises":  # has a period
        for end, beyond in ((distribution.support.low, -1), (distribution.support.high, 1)):
            outside = jnp.nextafter(jnp.where(jnp.isinf(end), beyond * 1e30, end), jnp.full_like(end, beyond * jnp.inf))
            assert jnp.isinf(end).all() or distribution.log_prob(outside) == -jnp.inf


@pytest.mark.parametrize("name", DISCRETE)
def test_discrete_distributions(name):
    distribution = distribution_of(name)
    assert distribution.support.integers
    assert_holds_its_samples(distribution)
    assert not distribution.support.contains(jnp.full(distribution.shape, 0.5))


@pytest.mark.slow
@every_recipe
def test_recipes(recipe):
    flow = flow_of(recipe)
    assert_holds_its_samples(flow)
    assert jax.jit(lambda flow: flow.support.is_whole)(flow)


@pytest.mark.slow
@pytest.mark.parametrize("name", BIJECTIONS)
@pytest.mark.parametrize("side", [3.0, pytest.param(np.inf, marks=pytest.mark.long)])
def test_images_of_boxes(name, side):
    """Both directions, of a box with ends and of one without."""
    entry = BIJECTIONS[name]
    bijection = entry.build(jax.random.key(0), min(3, entry.dims), 0.5)
    for shape, place, move, image in (
        (bijection.shape, entry.domain, bijection.forward, bijection.image),
        (bijection.out_shape, entry.codomain, bijection.inverse, bijection.preimage),
    ):
        ends = place(jnp.full(shape, -min(side, 3.0))), place(jnp.full(shape, min(side, 3.0)))
        points = place(jax.random.uniform(jax.random.key(1), (200, *shape), minval=-3.0, maxval=3.0))
        box = Box(*ends) if side < np.inf else Box.whole(shape)
        moved = jax.jit(image)(box)
        rounded = Box(moved.low - 1e-5 * (1 + jnp.abs(moved.low)), moved.high + 1e-5 * (1 + jnp.abs(moved.high)))
        assert rounded.contains(jax.jit(jax.vmap(move))(points)).all()


def test_ends_move_with_increasing_maps():
    assert_box(Sigmoid((2,)).image(Box.whole((2,))), 0, 1)
    assert_box(Tanh((2,)).image(Box(jnp.array([0.0, -jnp.inf]), jnp.array([jnp.inf, 0.5]))), [0, -1], [1, np.tanh(0.5)])
    assert_box(Exp((2,)).image(UNIT), 1, np.e)
    assert_box(Inverse(Sigmoid((2,))).image(UNIT), -np.inf, np.inf)
    assert_box(DiagonalAffine(jnp.array([1.0, 2]), jnp.log(jnp.array([2.0, 3]))).image(UNIT), [1, 2], [3, 5])
    assert_box(PartialExp((True, False)).image(Box.whole((2,))), [0, -np.inf], np.inf)
    ends = Box(jnp.array([0.0, 2.0]), jnp.array([1.0, jnp.inf]))
    assert_box(Permutation(jnp.array([1, 0])).image(ends), [2, 0], [np.inf, 1])
    assert_box(Chain((Permutation(jnp.array([1, 0])), Exp((2,)))).preimage(ends), [np.log(2), -np.inf], [np.inf, 0])
    layers = Stack(DiagonalAffine(jnp.ones((3, 2)), jnp.zeros((3, 2))), 3)
    assert_box(layers.image(UNIT), 3, 4)
    assert_box(layers.preimage(UNIT), -3, -2)


def test_mixing_maps_forget_the_ends():
    planar = randomised(Planar.init(jax.random.key(0), 2), jax.random.key(1))
    assert planar.image(UNIT).is_whole
    assert Chain((planar, Sigmoid((2,)))).image(UNIT).contains(jnp.array([[0.0, 1.0]])).all()


def test_splines_keep_the_box_between_their_bounds():
    base = Uniform(jnp.full(3, -5.0), jnp.full(3, 5.0))
    for make in (flows.nsf_coupling, flows.nsf_autoregressive):
        assert_box(
            randomised(make(jax.random.key(0), 3, 2, base=base), jax.random.key(1)).bijection.image(base.support), -5, 5
        )
    assert_box(Spline.identity(2, bound=3.0).image(Box.between(-3, 3, (2,))), -3, 3)


def test_angles_stay_angles():
    flow = flows.nsf_coupling(jax.random.key(0), 3, 2, circular=True)
    assert_box(flow.support, -np.pi, np.pi)


def test_a_mixture_reaches_over_all_its_components():
    components = Uniform(jnp.array([[0.0, 1.0], [-2.0, 2.0]]), jnp.array([[1.0, 3.0], [0.5, 4.0]]))
    assert_box(Mixture(jnp.zeros(2), components).support, [-2, 1], [1, 4])


def test_a_flow_of_another_type_than_the_default():
    with jax.enable_x64(True):
        flow = flows.nsf_coupling(jax.random.key(0), 3, 2)
        single = jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, flow)
        assert single.support.is_whole


@pytest.mark.parametrize(
    ("low", "high"), [(-np.inf, np.inf), (2.0, np.inf), (-np.inf, 2.0), (-1.0, 3.0), (1e-3, 1e4), (1000.0, 1001.0)]
)
@pytest.mark.parametrize("x", [-30.0, -2.0, 0.0, 1.0, 30.0])
def test_onto_a_box(low, high, x):
    """Against the formulas in float64, and back."""
    bijection = OntoBox(Box.between(low, high, (1,)))
    y, log_det = bijection.forward_and_log_det(jnp.array([x]))
    if np.isinf(low) and np.isinf(high):
        expected, slope = x, 1.0
    elif np.isinf(high):
        expected, slope = low + np.exp(x), np.exp(x)
    elif np.isinf(low):
        expected, slope = high - np.exp(-x), np.exp(-x)
    else:
        share = 1 / (1 + np.exp(-x))
        expected, slope = low + (high - low) * share, (high - low) * share * (1 / (1 + np.exp(x)))
    np.testing.assert_allclose(y, expected, rtol=1e-5)
    np.testing.assert_allclose(log_det, np.log(slope), rtol=1e-5, atol=1e-5)
    if np.abs(x) < 3:
        back, log_det_back = bijection.inverse_and_log_det(y)
        np.testing.assert_allclose(back, x, atol=2e-3 if low == 1000 else 1e-5)
        np.testing.assert_allclose(log_det_back, -log_det, atol=2e-3 if low == 1000 else 1e-5)


def test_gradients_through_a_box_are_finite():
    box = Box(jnp.array([0.0, -jnp.inf, -jnp.inf, 1.0]), jnp.array([jnp.inf, 1.0, jnp.inf, 2.0]))
    flow = Pushforward(Normal.standard(4), OntoBox(box))
    for x in (-100.0, 0.0, 100.0):
        assert jnp.isfinite(jax.grad(lambda x: flow.bijection.forward_and_log_det(x)[1])(jnp.full(4, x))).all()
    for x in (jnp.array([1e-30, -1e30, 1e15, 1.5]), jnp.array([1e30, 0.99999, 0.0, 1.00001])):
        assert jnp.isfinite(jax.grad(flow.log_prob)(x)).all()


def test_two_ends_of_other_shapes_are_no_box():
    with pytest.raises(ValueError, match="shapes"):
        Box(jnp.zeros(2), jnp.ones(3))
