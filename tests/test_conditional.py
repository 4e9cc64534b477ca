"""Conditional flows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows
from pushforward.conditional import amortize, condition
from tests.checks import QUICK_RECIPES, assert_same, long_but, randomised

DRIVEN = ("nice", "real_vp", "real_nvp", "nsf_coupling", "maf", "iaf", "nsf_autoregressive", "neural_autoregressive")


def make(recipe, dim=3):
    return flows.RECIPES[recipe](jax.random.key(0), (4, 4, 1) if recipe == "glow" else dim, 1)


@pytest.mark.parametrize("recipe", long_but(QUICK_RECIPES, flows.RECIPES))
def test_amortized_starts_as_the_flow_and_depends_on_the_context(recipe):
    flow = make(recipe)
    conditional = amortize(flow, jax.random.key(1), 2, width=4, depth=1)
    x = 0.5 * jax.random.normal(jax.random.key(2), (2, *flow.shape))
    log_prob = eqx.filter_jit(lambda conditional, context: conditional(context).log_prob(x))
    context = jnp.array([0.3, -2.0])
    np.testing.assert_allclose(log_prob(conditional, context), flow.log_prob(x), rtol=1e-4, atol=1e-4)
    # The weights of the last layer, which start at zero, make the difference.
    moved = eqx.tree_at(lambda c: c.network, conditional, randomised(conditional.network, jax.random.key(3), 0.1))
    assert jnp.all(log_prob(moved, context) != log_prob(moved, -context))


def test_a_rank_makes_the_weights_a_product():
    """The start is the flow all the same, what is emitted lies in as many dimensions, and there are fewer weights."""
    flow = flows.planar(jax.random.key(0), 5, 20)
    full, narrow = (amortize(flow, jax.random.key(1), 30, depth=0, rank=rank) for rank in (None, 4))
    contexts = jax.random.normal(jax.random.key(2), (50, 30))
    assert_same(narrow(contexts[0]), flow)
    for network, rank in ((full.network, 30), (narrow.network, 4)):
        moved = randomised(network, jax.random.key(3))
        emitted = np.asarray(jax.vmap(moved)(contexts), np.float64) - np.asarray(moved(jnp.zeros(30)))
        assert np.linalg.matrix_rank(emitted, tol=1e-3) == rank
    sizes = [sum(leaf.size for leaf in jax.tree.leaves(each.network)) for each in (full, narrow)]
    size = 20 * 11 + 10
    assert sizes == [size * 31, 4 * 31 + size * 5]
    with pytest.raises(ValueError, match="rank must be 1 or more"):
        amortize(flow, jax.random.key(1), 30, rank=0)


@pytest.mark.parametrize("recipe", long_but(QUICK_RECIPES, [*DRIVEN, "residual", "continuous", "glow"]))
def test_every_network_sees_the_context(recipe):
    flow = make(recipe)
    conditional = randomised(condition(flow, jax.random.key(1), 2), jax.random.key(3), 0.3)
    x = 0.5 * jax.random.normal(jax.random.key(2), (2, *flow.shape))
    log_prob = eqx.filter_jit(lambda conditional, context: conditional(context).log_prob(x))
    context = jnp.array([0.3, -2.0])
    assert jnp.all(log_prob(conditional, context) != log_prob(conditional, -context))

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(conditional):
        return jnp.sum(conditional(context).log_prob(x))

    for leaf in jax.tree.leaves(gradient(conditional)):
        assert jnp.all(jnp.isfinite(leaf))


def test_the_first_dimension_of_an_autoregressive_flow_sees_the_context():
    conditional = randomised(condition(flows.maf(jax.random.key(0), 1, 1), jax.random.key(1), 2), jax.random.key(3))
    x = jnp.zeros(1)
    first, second = (conditional(jnp.array(c)).log_prob(x) for c in ([1.0, 0.0], [0.0, 1.0]))
    assert first != second


@pytest.mark.slow
def test_contexts_are_batched_by_vmap():
    conditional = randomised(
        condition(flows.maf(jax.random.key(0), 2, 2), jax.random.key(1), 3), jax.random.key(3), 0.3
    )
    contexts, xs = jax.random.normal(jax.random.key(4), (5, 3)), jax.random.normal(jax.random.key(5), (5, 2))
    batched = jax.vmap(lambda context, x: conditional(context).log_prob(x))(contexts, xs)
    single = [conditional(context).log_prob(x) for context, x in zip(contexts, xs)]
    np.testing.assert_allclose(batched, jnp.stack(single), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_a_conditional_density_is_learned():
    """`x ~ N(c, exp(-c)^2)`: the mean log-likelihood reaches the truth to 0.03 nats."""
    from pushforward import training

    flow = flows.maf(jax.random.key(0), 1, 1)
    models = training.ensemble(lambda key: condition(flow, key, 1), jax.random.key(1), 1)

    def draw(key, n):
        key_context, key_noise = jax.random.split(key)
        context = jax.random.uniform(key_context, (n, 1), minval=-1.0, maxval=1.0)
        return context, context + jnp.exp(-context) * jax.random.normal(key_noise, (n, 1))

    def log_likelihood(model, key, n):
        return jnp.mean(jax.vmap(lambda context, x: model(context).log_prob(x))(*draw(key, n)))

    trained = training.fit(
        models,
        lambda model, key, step: -log_likelihood(model, key, 256),
        key=jax.random.key(2),
        steps=1500,
        optimizer=training.adam(1e-2, 1500),
    )
    reached = log_likelihood(training.member(trained.model, 0), jax.random.key(3), 20_000)
    context, x = draw(jax.random.key(3), 20_000)
    truth = jnp.mean(jax.scipy.stats.norm.logpdf(x, context, jnp.exp(-context)))
    assert abs(reached - truth) < 0.03


def test_a_flow_without_networks_is_refused():
    with pytest.raises(ValueError, match="use amortize"):
        condition(flows.planar(jax.random.key(0), 2, 2), jax.random.key(1), 3)
