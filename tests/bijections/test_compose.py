"""Chain and Stack: what they refuse, and that a Stack is a Chain whose program does not grow."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import (
    ActNorm,
    Chain,
    Concatenate,
    DiagonalAffine,
    Planar,
    Radial,
    Reshape,
    Residual,
    Rotation,
    Squeeze,
    Stack,
    Volume,
)
from tests.checks import randomised

MAKERS = {
    "planar": lambda key: Planar.init(key, 3),
    "radial": lambda key: Radial.init(key, 3),
    "rotation": lambda key: Rotation.init(key, 3),
    "chain": lambda key: Chain((Planar.init(key, 3), Rotation.init(key, 3))),
}


def stack_of(name, length):
    stack = Stack.init(lambda key, _: MAKERS[name](key), jax.random.key(0), length)
    return randomised(stack, jax.random.key(1))


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("length", [1, 6])
def test_stack_is_the_chain_of_its_layers(name, length, x64):
    stack = stack_of(name, length)
    chain = Chain(tuple(jax.tree.map(lambda leaf, i=i: leaf[i], stack.layers) for i in range(length)))
    x = jax.random.normal(jax.random.key(2), (3,))

    @eqx.filter_jit
    def everything(bijection):
        return bijection.forward_and_log_det(x), bijection.inverse_and_log_det(x), bijection.push_score(x, x)

    for actual, expected in zip(jax.tree.leaves(everything(stack)), jax.tree.leaves(everything(chain))):
        np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-9)
    assert stack.volume == chain.volume


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("method", ["forward_and_log_det", "inverse_and_log_det"])
def test_program_does_not_grow_with_length(name, method):
    def size(length):
        program = eqx.filter_make_jaxpr(lambda stack, x: getattr(stack, method)(x))
        return len(str(program(stack_of(name, length), jnp.ones(3))[0]))

    assert size(128) < 1.1 * size(8)


def test_no_layers_are_the_identity():
    stack = stack_of("planar", 0)
    x = jnp.arange(3.0)
    for y, log_det in (stack.forward_and_log_det(x), stack.inverse_and_log_det(x)):
        np.testing.assert_array_equal(y, x)
        assert log_det == 0
    assert stack.volume == Volume.PRESERVING


def test_layers_know_their_index():
    stack = Stack.init(lambda _, i: DiagonalAffine(jnp.full(1, i, float), jnp.zeros(1)), jax.random.key(0), 4)
    np.testing.assert_array_equal(stack.layers.loc[:, 0], [0, 1, 2, 3])


def test_layers_differ():
    layers = Stack.init(lambda key, _: Planar.init(key, 2), jax.random.key(0), 3).layers
    assert len(np.unique(layers.w)) == 6


def test_negative_length_is_refused():
    with pytest.raises(ValueError, match="length must be 0 or more, got -1"):
        Stack.init(lambda key, _: Planar.init(key, 2), jax.random.key(0), -1)


def test_chain_of_unlike_shapes_is_refused():
    with pytest.raises(ValueError, match=r"gives the event shape \(2,\), DiagonalAffine takes \(3,\)"):
        Chain((DiagonalAffine.identity(2), DiagonalAffine.identity(3)))


def test_empty_chain_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        Chain(())


def test_concatenate_divides_the_last_axis():
    both = Concatenate((DiagonalAffine(jnp.ones(2), jnp.zeros(2)), DiagonalAffine(jnp.zeros(1), jnp.ones(1))))
    y, log_det = both.forward_and_log_det(jnp.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(y, [2, 3, 3 * np.e], rtol=1e-6)
    assert log_det == 1
    with pytest.raises(ValueError, match="differ in the last axis only"):
        Concatenate((Reshape((4,), (2, 2)), Reshape((4,), (4, 1))))


def test_what_is_reshaped_must_fit():
    with pytest.raises(ValueError, match=r"cannot reshape \(4,\) to \(3,\)"):
        Reshape((4,), (3,))
    with pytest.raises(ValueError, match=r"even sides, got \(3, 2, 1\)"):
        Squeeze((3, 2, 1))


def test_squeezing_keeps_neighbours_together():
    image = jnp.arange(16.0).reshape(4, 4, 1)
    np.testing.assert_array_equal(Squeeze((4, 4, 1)).forward(image)[0, 0], [0, 1, 4, 5])


def test_calibration_standardises_the_data():
    key_data, key_flow = jax.random.split(jax.random.key(0))
    y = 3 + 5 * jax.random.normal(key_data, (200, 2))

    def layer(key, _):
        return Chain((Planar.init(key, 2), ActNorm.identity(2)))

    stack, x = Stack.init(layer, key_flow, 1).calibrate(y)
    affine = jax.tree.map(lambda leaf: leaf[0], stack.layers.bijections[1].affine)
    normalised = jax.vmap(affine.inverse)(y)
    np.testing.assert_allclose(normalised.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(normalised.std(0), 1, atol=1e-5)
    np.testing.assert_allclose(x, jax.vmap(stack.inverse)(y), rtol=1e-5, atol=1e-5)


def test_chain_order():
    shift, stretch = DiagonalAffine(jnp.ones(1), jnp.zeros(1)), DiagonalAffine(jnp.zeros(1), jnp.log(jnp.full(1, 3.0)))
    np.testing.assert_allclose(Chain((shift, stretch)).forward(jnp.ones(1)), 6, rtol=1e-6)
    np.testing.assert_allclose(Chain((stretch, shift)).forward(jnp.ones(1)), 4, rtol=1e-6)


def test_the_backward_pass_runs_no_loop_again():
    """The power series of a residual layer is gone through once, forward, and its result kept."""
    key_stack, key_rows = jax.random.split(jax.random.key(0))
    stack = Stack.init(lambda key, _: Residual.init(key, 3, width=8, exact=False), key_stack, 2)
    rows = jax.random.normal(key_rows, (5, 3))
    arrays, static = eqx.partition(stack, eqx.is_inexact_array)

    def loss(arrays):
        return jnp.sum(jax.vmap(eqx.combine(arrays, static).forward_and_log_det)(rows)[1])

    assert str(jax.make_jaxpr(loss)(arrays)).count(" while[") == 1
    assert str(jax.make_jaxpr(jax.grad(loss))(arrays)).count(" while[") == 1
