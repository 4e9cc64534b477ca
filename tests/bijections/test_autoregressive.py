"""Autoregressive layers: order, passes and refusals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import Affine, AffineVolumePreserving, MaskedAutoregressive, RationalQuadratic, Sigmoidal
from pushforward.nets import MADE
from tests.checks import randomised


@pytest.mark.long
@pytest.mark.parametrize("transformer", [Affine.init(), RationalQuadratic(4, 3.0)])
@pytest.mark.parametrize("dim", [1, 2, 7])
def test_the_jacobian_is_lower_triangular(transformer, dim):
    layer = MaskedAutoregressive(transformer, MADE.init(jax.random.key(0), dim, transformer.size, 16, 2, jnp.tanh), dim)
    layer = randomised(layer, jax.random.key(1))
    jacobian = jax.jacfwd(layer.forward)(jax.random.normal(jax.random.key(2), (dim,)))
    np.testing.assert_array_equal(jnp.triu(jacobian, 1), 0)
    assert jnp.all(jacobian[jnp.tril_indices(dim)] != 0)


@pytest.mark.long
@pytest.mark.parametrize("dim", [1, 2, 8, 13])
@pytest.mark.parametrize(("depth", "from_zero"), [(0, False), (2, False), (2, True)])
def test_the_inverse_is_that_of_dim_passes(dim, depth, from_zero, x64):
    """One block of up to eight inputs, or blocks of four, the last one of thirteen with a single input."""
    transformer = RationalQuadratic(4, 3.0)
    made = MADE.init(jax.random.key(0), dim, transformer.size, 20, depth, jnp.tanh)
    layer = MaskedAutoregressive(transformer, MADE(made.mlp, dim, from_zero), dim)
    layer = randomised(layer, jax.random.key(1), 0.5)
    y = 2 * jax.random.normal(jax.random.key(2), (dim,))
    x = y
    for _ in range(dim):
        x = layer._at(x).inverse(y)
    np.testing.assert_allclose(layer.inverse(y), x, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(layer.forward(x), y, rtol=1e-10, atol=1e-12)


def test_derivatives_of_the_inverse_are_those_of_the_unrolled_passes(x64):
    dim, transformer = 4, Affine.init()
    layer = MaskedAutoregressive(transformer, MADE.init(jax.random.key(0), dim, 2, 8, 1, jnp.tanh), dim)
    layer = randomised(layer, jax.random.key(1), 0.5)
    y, weights = jax.random.normal(jax.random.key(2), (2, dim))

    def implicit(layer, y):
        x, log_det = layer.inverse_and_log_det(y)
        return jnp.sum(weights * x) + log_det

    def unrolled(layer, y):
        x = y
        for _ in range(dim):
            x = layer._at(x).inverse(y)
        return jnp.sum(weights * x) - layer.forward_and_log_det(x)[1]

    for actual, expected in zip(*(jax.tree.leaves(jax.grad(f, (0, 1))(layer, y)) for f in (implicit, unrolled))):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-11)


def test_what_mixes_dimensions_is_refused():
    with pytest.raises(ValueError, match="AffineVolumePreserving mixes the dimensions"):
        MaskedAutoregressive(AffineVolumePreserving.init(), MADE.init(jax.random.key(0), 3, 2, 4, 1), 3)


def test_the_sigmoids_of_a_mixture_learn_different_things():
    layer = MaskedAutoregressive(Sigmoidal(4), MADE.init(jax.random.key(0), 2, 12, 8, 1), 2)
    x = jax.random.normal(jax.random.key(1), (20, 2))
    gradient = jax.grad(lambda layer: jnp.sum(jax.vmap(layer.forward_and_log_det)(x)[1]))(layer)
    each = gradient.network.mlp.biases[-1].reshape(2, 3, 4)
    assert len(jnp.unique(each[0, 2].round(4))) == 4
