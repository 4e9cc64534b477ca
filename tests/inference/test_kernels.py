"""Ways to move behind a flow that is wrong: what they draw is the posterior all the same."""

import math
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import TriangularAffine
from pushforward.distributions import Normal, Pushforward
from pushforward.inference.kernels import METHODS, Behind, Tuned, advance
from pushforward.targets import from_callable

CHAINS, LOG_Z = 8, 0.7


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def law(x):
    """N((1, -1), diag(1, 0.5)^2), times exp(0.7)."""
    noise = (x - jnp.array([1.0, -1.0])) / jnp.array([1.0, 0.5])
    return -0.5 * jnp.sum(noise**2) - math.log(0.5 * 2 * math.pi) + LOG_Z


@pytest.mark.parametrize("method", METHODS)
def test_the_posterior_is_drawn_whatever_the_flow(method):
    """Means and standard deviations of 8 chains within six standard errors of the chains' own means."""
    base = Normal(jnp.array([0.5, -0.5]), jnp.log(jnp.array([1.6, 0.8])))
    behind = Behind.of(from_callable(law, 2), Pushforward(base, TriangularAffine.identity(2)))
    tuned = Tuned(jnp.full(CHAINS, 0.7), jnp.ones((CHAINS, 2)))
    moved = advance(behind, method, CHAINS)(jnp.zeros((CHAINS, 2)), tuned, jax.random.key(0))
    draws = np.asarray(moved.coordinates, np.float64)[:, moved.coordinates.shape[1] // 10 :]
    for values, expected in ((draws, (1, -1)), ((draws - np.array([1, -1])) ** 2, (1, 0.25))):
        found = values.mean(axis=1)
        error = found.std(axis=0, ddof=1) / math.sqrt(CHAINS)
        assert np.all(np.abs(found.mean(axis=0) - expected) < 6 * error)
        assert np.all(error < 0.06)
    np.testing.assert_allclose(moved.log_p, jax.vmap(jax.vmap(law))(moved.coordinates), rtol=1e-4, atol=1e-4)
    if method == "smc":
        assert abs(float(jnp.mean(moved.log_z)) - LOG_Z) < 6 * float(jnp.std(moved.log_z)) / math.sqrt(CHAINS)
