"""What is particular to one distribution: references, what is trained, what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import DiagonalAffine
from pushforward.distributions import (
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Logistic,
    Normal,
    Pushforward,
    StudentT,
    Uniform,
)
from pushforward.flows import RECIPES
from tests.checks import QUICK_RECIPES, assert_finite, floating_leaves, long_but, randomised


def test_uniform_inside_and_outside(x64):
    uniform = Uniform(jnp.array([-1.0, 0.0]), jnp.array([1.0, 3.0]))
    x = jnp.array([[-1.0, 0.0], [0.0, 1.5], [1.0, 3.0], [1.1, 1.0], [0.0, -0.1]])
    np.testing.assert_allclose(uniform.log_prob(x), [-np.log(6)] * 3 + [-np.inf] * 2)
    samples = uniform.sample(jax.random.key(0), (1000,))
    assert np.all(np.isfinite(uniform.log_prob(samples)))


def test_base_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"base has event shape \(2,\), bijection \(3,\)"):
        Pushforward(Normal.standard(2), DiagonalAffine.identity(3))


@pytest.mark.parametrize("family", [Normal, Laplace, Logistic, Gumbel, StudentT, GeneralizedNormal])
def test_standard_is_held_fixed_unless_asked(family):
    assert family.standard(3).shape == (3,)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(distribution):
        x, log_prob = distribution.sample_and_log_prob(jax.random.key(0))
        return jnp.sum(x) + log_prob + distribution.log_prob(jnp.array([0.4, 0.9]))

    for trained in (False, True):
        for path, leaf in floating_leaves(gradient(family.standard(2, trained=trained))):
            assert jnp.any(leaf != 0) == trained, path


# Rounding grows with the condition of a map; an ODE is solved to its tolerance.
TOLERANCES = {"continuous": 2e-3}


@pytest.mark.parametrize("recipe", long_but(QUICK_RECIPES, [recipe for recipe in RECIPES if recipe != "glow"]))
@pytest.mark.parametrize("length", [0, 3])
class TestRecipe:
    """Every flow recipe, with random parameters."""

    @pytest.fixture
    def flow(self, recipe, length, x64):
        return randomised(RECIPES[recipe](jax.random.key(0), 3, length), jax.random.key(1), 0.15)

    def test_inverting_density_agrees(self, flow, recipe):
        @eqx.filter_jit
        def both(flow):
            x, log_prob = flow.sample_and_log_prob(jax.random.key(2), (200,))
            return log_prob, flow.log_prob(x)

        forward, inverted = both(flow)
        tolerance = TOLERANCES.get(recipe, 1e-6)
        np.testing.assert_allclose(inverted, forward, rtol=tolerance, atol=tolerance)

    def test_score_is_the_gradient_of_the_density(self, flow, recipe):
        @eqx.filter_jit
        def both(flow):
            key = jax.random.key(2)
            x, log_prob, score = flow.sample_and_score(key, (20,))
            gradient = jax.vmap(jax.grad(lambda x: flow.log_prob(x)))(x)
            return (*flow.sample_and_log_prob(key, (20,)), gradient), (x, log_prob, score)

        for expected, actual in zip(*both(flow)):
            tolerance = TOLERANCES.get(recipe, 1e-6)
            np.testing.assert_allclose(actual, expected, rtol=tolerance, atol=tolerance)

    def test_gradient_reaches_every_leaf_and_is_finite(self, flow):
        @eqx.filter_jit
        @eqx.filter_grad
        def gradient(flow):
            x, log_prob = flow.sample_and_log_prob(jax.random.key(2), (20,))
            return jnp.mean(log_prob + jnp.sum(x**2, axis=-1))

        gradients = gradient(flow)
        assert_finite(gradients)
        for path, leaf in floating_leaves(gradients):
            assert jnp.any(leaf != 0), f"nothing reaches {path}"
