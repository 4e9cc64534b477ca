"""Gradients of the free energy for events that are no vectors, held to those of the flattened flow."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import Chain, DiagonalAffine, Planar, Reshape, Stack
from pushforward.distributions import Normal, Pushforward
from pushforward.objectives import free_energy
from tests.checks import floating_leaves, randomised

every_shape = pytest.mark.parametrize("shape", [(), (2,), (2, 3, 4)])
KEY = jax.random.key(3)


def flow_of(shape):
    dim = int(np.prod(shape))
    layers = Stack.init(lambda key, _: Planar.init(key, dim), jax.random.key(0), 2)
    bijection = Chain((layers, DiagonalAffine.identity(dim), Reshape((dim,), shape)))
    return randomised(Pushforward(Normal.standard(dim, trained=True), bijection), jax.random.key(1), 0.3)


def flattened(flow):
    return Pushforward(flow.base, Chain(flow.bijection.bijections[:-1]))


def gradient(flow, log_density, stick_the_landing):
    def loss(flow):
        return free_energy(flow, log_density, KEY, 24, stick_the_landing=stick_the_landing)

    return [leaf for _, leaf in floating_leaves(eqx.filter_jit(eqx.filter_grad(loss))(flow))]


@pytest.mark.slow
@every_shape
@pytest.mark.parametrize("stick_the_landing", [False, True])
def test_as_that_of_the_flattened_flow(shape, stick_the_landing):
    flow = flow_of(shape)

    def log_density(x):
        return -jnp.sum(jnp.abs(x.reshape(len(x), -1)) ** 1.5, axis=-1)

    actual, expected = (gradient(f, log_density, stick_the_landing) for f in (flow, flattened(flow)))
    for leaf, right in zip(actual, expected, strict=True):
        np.testing.assert_allclose(leaf, right, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@every_shape
def test_sticking_the_landing_is_0_at_the_optimum(shape):
    flow = flow_of(shape)
    for leaf in gradient(flow, flow.log_prob, True):
        np.testing.assert_allclose(leaf, 0, atol=2e-3)
    assert any(np.abs(leaf).max() > 2e-2 for leaf in gradient(flow, flow.log_prob, False))
