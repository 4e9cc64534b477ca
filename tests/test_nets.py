"""Small networks."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.nets import MLP
from tests.checks import randomised


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_mlp_is_the_formula(depth, x64):
    net = randomised(MLP.init(jax.random.key(0), 3, 2, 7, depth, jnp.tanh), jax.random.key(1))
    x = expected = np.array([0.3, -1.0, 2.0])
    for weight, bias in zip(net.weights[:-1], net.biases[:-1]):
        expected = np.tanh(weight @ expected + bias)
    expected = net.weights[-1] @ expected + net.biases[-1]
    assert len(net.weights) == depth + 1
    np.testing.assert_allclose(net(jnp.asarray(x)), expected, rtol=1e-12)


def test_mlp_starts_at_zero_with_lecun_hidden_layers():
    """LeCun: variance 1 / fan_in; 500 x 200 weights give it to 2 % (4 sigma)."""
    net = MLP.init(jax.random.key(0), 200, 3, 500, 1)
    np.testing.assert_array_equal(net(jnp.ones(200)), 0)
    np.testing.assert_allclose(jnp.var(net.weights[0]), 1 / 200, rtol=0.02)
