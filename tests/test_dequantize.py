"""Discrete data as continuous."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows
from pushforward.bijections import Reshape
from pushforward.dequantize import Dequantized, UniformDequantization, VariationalDequantization, bits_per_dimension
from pushforward.distributions import Pushforward, Uniform
from tests.checks import randomised

LEVELS = 4


def noises():
    variational = VariationalDequantization.init(jax.random.key(0), 1, LEVELS, width=3)
    return {"uniform": UniformDequantization(LEVELS), "variational": randomised(variational, jax.random.key(1), 0.5)}


@pytest.mark.parametrize("name", noises())
def test_noise_stays_within_its_level(name):
    x = jax.random.randint(jax.random.key(1), (50, 2, 2, 1), 0, LEVELS).astype(jnp.uint8)
    y, log_prob = noises()[name].sample_and_log_prob(jax.random.key(2), x)
    assert y.shape == x.shape
    assert log_prob.shape == (50,)
    np.testing.assert_array_equal(jnp.floor(y * LEVELS), x)


def test_uniform_on_uniform_is_exact():
    """All images are equally likely under a uniform density: the bound is tight."""
    flow = Pushforward(Uniform(jnp.zeros(4), jnp.ones(4)), Reshape((4,), (2, 2, 1)))
    x = jnp.zeros((3, 2, 2, 1), jnp.uint8)
    bound = Dequantized(flow, UniformDequantization(LEVELS)).log_prob_bound(x, jax.random.key(0))
    np.testing.assert_allclose(bound, -4 * math.log(LEVELS), rtol=1e-6)
    assert bits_per_dimension(float(bound[0]), (2, 2, 1)) == pytest.approx(2.0)


@pytest.mark.slow
@pytest.mark.parametrize("name", noises())
def test_the_bound_is_one(name):
    """Summed over all images, exp(bound) averages to at most 1; for one pixel by 20,000 draws, within 1%."""
    flow = flows.pixels(flows.real_nvp(jax.random.key(0), 2, 1), (1, 2, 1))
    model = Dequantized(flow, noises()[name])
    images = jnp.stack(jnp.meshgrid(jnp.arange(LEVELS), jnp.arange(LEVELS)), -1).reshape(-1, 1, 2, 1).astype(jnp.uint8)
    keys = jax.random.split(jax.random.key(3), 2000)
    bounds = jax.jit(jax.vmap(lambda key: model.log_prob_bound(images, key)))(keys)
    inside = jax.random.uniform(jax.random.key(4), (100_000, 1, 2, 1))
    mass = jnp.mean(jnp.exp(flow.log_prob(inside)))
    # The mean of exp(bound) is the probability itself, by importance sampling; all images hold the mass in [0, 1].
    np.testing.assert_allclose(jnp.mean(jnp.exp(bounds), axis=0).sum(), mass, rtol=0.02)
    assert jnp.sum(jnp.exp(jnp.mean(bounds, axis=0))) < mass
