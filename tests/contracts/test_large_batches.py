"""Batches of more than 16,384 rows, which JAX 0.9.0 to 0.10.2 sums up wrongly on CPUs (JAX issue 39103)."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.flows import RECIPES
from tests.checks import floating_leaves, randomised

ROWS, CHUNK = 40_000, 4_000
VECTORS = [name for name in RECIPES if name != "glow"]
# By `.ci/run`; `make check-all` takes them all.
SOME = ("planar", "radial", "sylvester", "nice", "real_nvp", "nsf_coupling", "maf")
long = pytest.mark.long


@pytest.mark.parametrize("function", [jnp.tanh, jnp.exp, jnp.square, jax.nn.softplus])
def test_sums_of_products(function, dtype):
    """`sum(f(A @ row))` of each row, compiled and not."""
    a, x = np.random.default_rng(0).normal(size=(3, 3)), np.random.default_rng(1).normal(size=(ROWS, 3))
    a, x = jnp.asarray(a, dtype), jnp.asarray(x, dtype)

    def one(row):
        return jnp.sum(function(a @ row))

    tolerance = 20 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(x), jax.vmap(one)(x), rtol=tolerance, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("dim", [3, pytest.param(5, marks=long)])
@pytest.mark.parametrize("recipe", [pytest.param(name, marks=() if name in SOME else long) for name in VECTORS])
def test_log_prob_and_gradient(recipe, dim, dtype):
    """Of all rows at once, and of a tenth at a time."""
    flow = randomised(RECIPES[recipe](jax.random.key(0), dim, 2), jax.random.key(1), 0.2)
    x = 1.5 * jax.random.normal(jax.random.key(2), (ROWS, dim), dtype)

    @eqx.filter_jit
    def log_prob_and_gradient(flow, x):
        def mean(flow):
            log_prob = flow.log_prob(x)
            return jnp.mean(log_prob), log_prob

        gradient, log_prob = eqx.filter_grad(mean, has_aux=True)(flow)
        return log_prob, gradient

    log_prob, gradient = log_prob_and_gradient(flow, x)
    parts = [log_prob_and_gradient(flow, part) for part in x.reshape(-1, CHUNK, dim)]
    tolerance = 2e-3 if dtype == jnp.float32 else 1e-7
    np.testing.assert_allclose(
        log_prob, jnp.concatenate([values for values, _ in parts]), rtol=tolerance, atol=tolerance
    )
    expected = jax.tree.map(lambda *leaves: sum(leaves) / len(leaves), *(part for _, part in parts))
    scale = max(jnp.max(jnp.abs(leaf)) for _, leaf in floating_leaves(expected))
    for (path, leaf), (_, right) in zip(floating_leaves(gradient), floating_leaves(expected)):
        np.testing.assert_allclose(leaf, right, atol=tolerance * scale, err_msg=str(path))
