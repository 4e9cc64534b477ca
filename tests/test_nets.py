"""Small networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.nets import MADE, MLP, ConvNet, convolve
from tests.checks import randomised


@pytest.mark.slow
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_mlp_is_the_formula(depth, x64):
    net = randomised(MLP.init(jax.random.key(0), 3, 2, 7, depth, jnp.tanh), jax.random.key(1))
    x = expected = np.array([0.3, -1.0, 2.0])
    for weight, bias in zip(net.weights[:-1], net.biases[:-1]):
        expected = np.tanh(weight @ expected + bias)
    expected = net.weights[-1] @ expected + net.biases[-1]
    assert len(net.weights) == depth + 1
    np.testing.assert_allclose(net(jnp.asarray(x)), expected, rtol=1e-12)


@pytest.mark.parametrize("zero", [True, False])
def test_an_mlp_starts_uniform_with_kinks_all_over_its_inputs(zero):
    """Variance 1 / (3 fan_in) of weights and biases: 500 x 201 numbers give it to 2% (7 sigma)."""
    net = MLP.init(jax.random.key(0), 200, 3, 500, 1, zero=zero)
    first = jnp.column_stack([net.weights[0], net.biases[0]])
    assert jnp.max(jnp.abs(first)) <= 200**-0.5
    np.testing.assert_allclose(jnp.var(first), 1 / 600, rtol=0.02)
    np.testing.assert_allclose(jnp.var(net.biases[0]), 1 / 600, rtol=0.2)  # 5 sigma
    np.testing.assert_array_equal(net.biases[1], 0)
    assert bool(jnp.all(net(jnp.ones(200)) == 0)) == zero


@pytest.mark.slow
@pytest.mark.parametrize("from_zero", [False, True])
@pytest.mark.parametrize("dim", [1, 2, 5])
def test_made_row_i_depends_on_all_inputs_before_i_and_no_other(dim, from_zero):
    made = randomised(MADE.init(jax.random.key(0), dim, 3, 20, 2, jnp.tanh), jax.random.key(1))
    made = MADE(made.mlp, dim, from_zero)
    jacobian = jax.jacfwd(made)(jax.random.normal(jax.random.key(2), (dim,)))
    assert jacobian.shape == (dim, 3, dim)
    expected = np.tril(np.ones((dim, dim), bool), -1)[:, None].repeat(3, axis=1)
    np.testing.assert_array_equal(jacobian != 0, expected)
    np.testing.assert_allclose(made.masked()(jnp.ones(dim)).reshape(dim, 3), made(jnp.ones(dim)))


@pytest.mark.parametrize(("channels", "out"), [(2, 5), (5, 2)])
@pytest.mark.parametrize("side", [1, 3])
def test_convolution_is_that_of_xla(channels, out, side, x64):
    x = jax.random.normal(jax.random.key(0), (6, 4, channels))
    weight = jax.random.normal(jax.random.key(1), (side, side, channels, out))
    numbers = ("NHWC", "HWIO", "NHWC")
    expected = jax.lax.conv_general_dilated(x[None], weight, (1, 1), "SAME", dimension_numbers=numbers)[0]
    np.testing.assert_allclose(convolve(x, weight), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_convnet_sees_two_pixels_far_and_starts_at_zero():
    fresh = ConvNet.init(jax.random.key(0), 1, 2, 4)
    image = jax.random.normal(jax.random.key(1), (7, 7, 1))
    np.testing.assert_array_equal(fresh(image), jnp.zeros((7, 7, 2)))
    net = randomised(fresh, jax.random.key(2))
    seen = jnp.any(jax.jacfwd(net)(image)[3, 3] != 0, axis=(0, 3))
    np.testing.assert_array_equal(seen, np.pad(np.ones((5, 5), bool), 1))
