"""Recipes: their shapes, their starts, and what they refuse."""

import re

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows
from pushforward.bijections import Volume
from pushforward.distributions import Normal, Pushforward
from pushforward.flows import RECIPES
from tests.checks import QUICK_RECIPES, long_but, randomised

VECTORS = [name for name in RECIPES if name != "glow"]
PRESERVING = ("nice", "real_vp")


@pytest.mark.parametrize("recipe", long_but(QUICK_RECIPES, VECTORS))
@pytest.mark.parametrize("length", [0, 3])
def test_recipe(recipe, length):
    base = Normal.standard(4)
    flow = RECIPES[recipe](key=jax.random.key(0), dim=4, length=length, base=base)
    assert flow.shape == (4,)
    assert flow.bijection.length == length
    assert flow.base is base
    preserving = recipe in PRESERVING or length == 0
    assert flow.bijection.volume == (Volume.PRESERVING if preserving else Volume.VARYING)
    assert RECIPES[recipe](jax.random.key(0), 4, length).base.trained


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_docstring_says_volume_direction_and_paper(recipe):
    summary = RECIPES[recipe].__doc__.splitlines()[0]
    assert re.search(r"volume", summary)
    assert re.search(r"fast|solver", summary)
    assert re.search(r"(19|20)\d\d|R&M", summary) or recipe == "real_vp"


@pytest.mark.parametrize("recipe", long_but(QUICK_RECIPES, VECTORS))
@pytest.mark.parametrize("dim", [2, 5])
def test_samples_and_densities_agree(recipe, dim):
    flow = randomised(RECIPES[recipe](jax.random.key(0), dim, 2), jax.random.key(1), 0.2)
    x, log_prob = eqx.filter_jit(lambda flow: flow.sample_and_log_prob(jax.random.key(2), (20,)))(flow)
    np.testing.assert_allclose(eqx.filter_jit(flow.log_prob)(x), log_prob, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("recipe", RECIPES)
def test_negative_length_is_refused(recipe):
    with pytest.raises(ValueError, match="length must be 0 or more, got -1"):
        RECIPES[recipe](jax.random.key(0), (4, 4, 1) if recipe == "glow" else 2, -1)


@pytest.mark.parametrize("recipe", VECTORS)
def test_no_dimensions_are_refused(recipe):
    with pytest.raises(ValueError, match="dimension"):
        RECIPES[recipe](jax.random.key(0), 0, 2)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda key: flows.nice(key, 1, 2), "at least 2 dimensions, got 1"),
        (lambda key: flows.sylvester(key, 2, 2, rank=3), "rank must be between 1 and 2, got 3"),
        (lambda key: flows.nsf_coupling(key, 2, 2, circular=True, mixing="lu"), "angles can be mixed by permutations"),
        (lambda key: flows.nsf_coupling(key, 2, 2, circular=[1], mixing="lu"), "angles can be mixed by permutations"),
        (lambda key: flows.nsf_autoregressive(key, 2, 2, circular=[2]), "angles are among the dimensions 0 to 1"),
        (lambda key: flows.glow(key, (5, 4, 1), 2), "even sides, got"),
    ],
)
def test_what_cannot_work_is_refused(make, complaint):
    with pytest.raises(ValueError, match=complaint):
        make(jax.random.key(0))


@pytest.mark.slow
@pytest.mark.parametrize("mixing", ["permutation", "reverse", "rotation", "householder", "lu"])
def test_every_mixing_moves_every_dimension(mixing):
    flow = randomised(flows.nice(jax.random.key(0), 3, 6, mixing=mixing), jax.random.key(1), 0.7)
    assert flow.bijection.volume == (Volume.CONSTANT if mixing == "lu" else Volume.PRESERVING)
    x = jax.random.normal(jax.random.key(2), (3,))
    assert not jnp.any(jnp.isin(flow.bijection.forward(x), x))


@pytest.mark.parametrize("fast", ["density", "sampling"])
def test_the_fast_direction_is_a_single_pass(fast):
    """Three matrix products; back, each of three dimensions in turn has its own."""
    flow = flows.nsf_autoregressive(jax.random.key(0), 3, 2, fast=fast)
    programs = {
        "density": eqx.filter_make_jaxpr(flow.log_prob)(jnp.zeros((5, 3)))[0],
        "sampling": eqx.filter_make_jaxpr(lambda key: flow.sample(key, (5,)))(jax.random.key(0))[0],
    }
    products = {name: str(program).count("dot_general") for name, program in programs.items()}
    assert products.pop(fast) == 3
    assert min(products.values()) >= 9


@pytest.mark.parametrize("recipe", [flows.nsf_coupling, flows.nsf_autoregressive])
def test_angles_beside_real_numbers(recipe):
    """A density on the cylinder: it integrates to one, and joins at the ends of the circle."""
    flow = recipe(jax.random.key(0), 2, 3, circular=[1], width=8)
    flow = Pushforward(flow.base, randomised(flow.bijection, jax.random.key(1), 0.1))
    angle = (jnp.arange(200) + 0.5) / 200 * 2 * jnp.pi - jnp.pi
    line = jnp.linspace(-12, 12, 400)
    points = jnp.stack(jnp.meshgrid(line, angle, indexing="ij"), -1)
    density = jnp.exp(eqx.filter_jit(flow.log_prob)(points))
    np.testing.assert_allclose(density.mean() * 2 * jnp.pi * 24 * 400 / 399, 1, rtol=5e-3)
    ends = flow.log_prob(jnp.array([[0.3, -3.14159], [0.3, 3.14159]]))
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-2)
    x = flow.sample(jax.random.key(2), (100,))
    assert jnp.all(jnp.abs(x[:, 1]) <= jnp.pi)
    np.testing.assert_array_equal(flow.support.low, [-jnp.inf, -jnp.float32(jnp.pi)])


def test_circular_flow_is_a_density_on_the_torus():
    """Integrates to one over the square by the midpoint rule, and does not see full turns."""
    flow = flows.nsf_coupling(jax.random.key(0), 2, 2, circular=True)
    flow = Pushforward(flow.base, randomised(flow.bijection, jax.random.key(1), 0.1))
    axis = (jnp.arange(200) + 0.5) / 200 * 2 * jnp.pi - jnp.pi
    points = jnp.stack(jnp.meshgrid(axis, axis), -1)
    density = jnp.exp(eqx.filter_jit(flow.log_prob)(points))
    np.testing.assert_allclose(density.mean() * (2 * jnp.pi) ** 2, 1, rtol=1e-3)
    ends = flow.log_prob(jnp.array([[-3.14159, 1.0], [3.14159, 1.0]]))
    np.testing.assert_allclose(ends[0], ends[1], atol=1e-2)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(4, 4, 1), (6, 4, 3)])
@pytest.mark.parametrize("mixing", ["lu", "permutation"])
def test_glow_factors_out_and_is_calibrated(shape, mixing):
    flow = flows.glow(jax.random.key(0), shape, 2, mixing=mixing, width=4)
    assert flow.shape == shape
    assert flow.base.shape == (np.prod(shape),)
    images = 2 + 3 * jax.random.normal(jax.random.key(1), (50, *shape))
    calibrated = eqx.filter_jit(lambda flow, images: flow.calibrated(images))(flow, images)
    z = eqx.filter_jit(lambda flow: jax.vmap(flow.bijection.inverse)(images))(calibrated)
    np.testing.assert_allclose(z.mean(), 0, atol=1e-2)
    np.testing.assert_allclose(z.std(), 1, atol=2e-2)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["maf", "glow"])
def test_pixels_live_between_0_and_1(recipe):
    shape = (4, 4, 1)
    flow = flows.pixels(RECIPES[recipe](jax.random.key(0), shape if recipe == "glow" else 16, 1), shape)
    x, log_prob = eqx.filter_jit(lambda flow: flow.sample_and_log_prob(jax.random.key(1), (50,)))(flow)
    assert x.shape == (50, *shape)
    assert jnp.all((x > -0.05) & (x < 1.05))
    np.testing.assert_allclose(eqx.filter_jit(flow.log_prob)(x), log_prob, rtol=1e-3, atol=1e-2)


def test_a_flow_says_what_it_is():
    shown = repr(flows.nice(jax.random.key(0), dim=3, length=2, width=4))
    first, second, *_ = shown.splitlines()
    assert first.startswith("# event shape (3,), volume preserving, ")
    assert second == "Pushforward("
    assert "length=2" in shown
