"""Residual and continuous flows: estimates without bias, and contraction."""

from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import Continuous, Residual
from pushforward.nets import LipschitzMLP
from pushforward.probes import Probe, refreshed
from tests.checks import randomised

DIM, DRAWS = 3, 20_000


def pairs():
    """Each with its exact twin: `(exact, estimated)`."""
    residual = randomised(Residual.init(jax.random.key(0), DIM, 16, 1), jax.random.key(1), 1.0)
    continuous = randomised(Continuous.init(jax.random.key(0), DIM, 8, 1), jax.random.key(1), 0.5)
    probe = Probe.init(jax.random.key(2))
    return {
        "residual": (residual, Residual(residual.network, probe)),
        "continuous": (continuous, Continuous(continuous.field, probe)),
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", pairs())
def test_estimates_have_no_bias(name):
    """Value and gradient of the log-determinant: the mean of 20,000 probes within 5 standard errors of the exact."""
    exact, estimated = pairs()[name]
    x = jnp.array([0.3, -1.0, 0.7])

    def value_and_gradient(bijection):
        value, gradient = jax.value_and_grad(lambda b: b.forward_and_log_det(x)[1], allow_int=True)(bijection)
        floating = [leaf for leaf in jax.tree.leaves(gradient) if jnp.issubdtype(leaf.dtype, jnp.floating)]
        return jnp.concatenate([value[None], *(leaf.ravel() for leaf in floating)])

    def once(key):
        return value_and_gradient(refreshed(estimated, key))

    draws = np.asarray(
        jax.jit(lambda keys: jax.lax.map(once, keys, batch_size=500))(jax.random.split(jax.random.key(3), DRAWS))
    )
    expected = np.asarray(value_and_gradient(exact))
    error = draws.std(0) / np.sqrt(DRAWS)
    assert draws[:, 0].std() > 1e-3
    np.testing.assert_array_less(np.abs(draws.mean(0) - expected), 5 * error + 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", pairs())
def test_an_estimate_is_a_function_of_key_and_point(name):
    _, estimated = pairs()[name]
    x = jax.random.normal(jax.random.key(0), (4, DIM))
    log_det = jax.jit(jax.vmap(lambda x: estimated.forward_and_log_det(x)[1]))
    np.testing.assert_array_equal(log_det(x), log_det(x))
    other = refreshed(estimated, jax.random.key(5))
    assert jnp.all(jax.vmap(lambda x: other.forward_and_log_det(x)[1])(x) != log_det(x))


@pytest.mark.slow
@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0])
def test_the_network_shrinks_distances(scale):
    network = randomised(LipschitzMLP.init(jax.random.key(0), 4, 16, 2, 0.9), jax.random.key(1), scale)
    x, y = jax.random.normal(jax.random.key(2), (2, 500, 4))
    moved = jnp.linalg.norm(jax.vmap(network)(x) - jax.vmap(network)(y), axis=-1)
    assert jnp.all(moved <= 0.9 * jnp.linalg.norm(x - y, axis=-1) * (1 + 1e-5))
    steepest = jnp.linalg.svd(jax.vmap(jax.jacfwd(network))(3 * x), compute_uv=False).max()
    assert steepest <= 0.9 * (1 + 1e-5)


@pytest.mark.parametrize("coefficient", [0.0, 1.0, -0.5])
def test_coefficients_outside_0_1_are_refused(coefficient):
    with pytest.raises(ValueError, match="must lie between 0 and 1"):
        Residual.init(jax.random.key(0), 2, coefficient=coefficient)


def test_a_flow_that_the_solver_cannot_follow_is_not_finite():
    field = randomised(Continuous.init(jax.random.key(0), 2, 8, 1), jax.random.key(1), 100.0)
    y, log_det = Continuous(field.field, max_steps=8).forward_and_log_det(jnp.ones(2))
    assert jnp.all(jnp.isnan(y))
    assert jnp.isnan(log_det)


@pytest.mark.parametrize("exact", [True, False])
def test_the_gradient_of_a_continuous_flow_is_that_of_its_solver(exact):
    """Its own way back through the steps, and Diffrax's derivative of every operation of the solver, in float64."""
    with jax.enable_x64(True):
        flow = randomised(Continuous.init(jax.random.key(0), 2, 8, 1, 1e-6, exact=exact), jax.random.key(1), 0.5)
        flow = jax.tree.map(lambda leaf: leaf.astype(float) if eqx.is_inexact_array(leaf) else leaf, flow)
        flow = replace(flow, max_steps=32)
        x = jax.random.normal(jax.random.key(2), (5, 2), float)

        def loss(given):
            flow, x = given
            y, log_det = jax.vmap(flow.forward_and_log_det)(x)
            z, back = jax.vmap(flow.inverse_and_log_det)(x)
            return jnp.sum(jnp.sin(y)) + jnp.sum(log_det**2) + jnp.sum(z**2 * back[:, None])

        own = eqx.filter_grad(loss)((flow, x))
        through = eqx.filter_grad(loss)((replace(flow, forward_mode=True), x))
    for leaf, other in zip(jax.tree.leaves(own), jax.tree.leaves(through)):
        np.testing.assert_allclose(leaf, other, rtol=1e-8, atol=1e-10)
