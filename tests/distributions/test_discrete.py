"""The contract of the discrete distributions: masses, samples, and extremes."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from pushforward.distributions import Bernoulli, Categorical, DiscretizedLogistic
from tests.checks import assert_finite, assert_same, chi_square_p_value, floating_leaves
from tests.distributions.constructors import DISCRETE

every_entry = pytest.mark.parametrize("name", DISCRETE)


def build(name, dim=2, seed=0):
    return DISCRETE[name].build(jax.random.key(seed), dim)


def every_value(name, dim):
    """All values of `dim` dimensions, `(levels^dim, dim)`."""
    levels = DISCRETE[name].levels
    return jnp.asarray(list(itertools.product(range(levels), repeat=dim)), jnp.result_type(float))


@pytest.mark.long
@every_entry
@pytest.mark.parametrize("dim", [1, 3])
def test_masses_sum_to_one(name, dim, dtype):
    masses = jnp.exp(build(name, dim).log_prob(every_value(name, dim)))
    assert masses.dtype == dtype
    assert len(np.unique(masses)) == len(masses)
    np.testing.assert_allclose(masses.sum(), 1, rtol=50 * jnp.finfo(dtype).eps)


@every_entry
def test_samples_follow_the_masses(name):
    """Chi-square on all values of two dimensions; a right sampler fails one of the 4 cases with probability 4e-4."""
    distribution, levels = build(name), DISCRETE[name].levels
    samples = eqx.filter_jit(lambda distribution: distribution.sample(jax.random.key(1), (20_000,)))(distribution)
    np.testing.assert_array_equal(np.unique(samples), np.arange(levels))
    masses = np.exp(np.asarray(distribution.log_prob(every_value(name, 2)), np.float64)).reshape(levels, levels)
    assert chi_square_p_value(samples, masses, ((-0.5, levels - 0.5),) * 2) > 1e-4


@pytest.mark.long
@every_entry
@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
def test_shapes(name, batch, dtype):
    distribution = build(name)
    sample = distribution.sample(jax.random.key(1), batch)
    both = distribution.sample_and_log_prob(jax.random.key(1), batch)
    assert distribution.shape == (2,)
    assert sample.shape == both[0].shape == (*batch, 2)
    assert both[1].shape == distribution.log_prob(sample).shape == batch
    assert {sample.dtype, both[0].dtype, both[1].dtype, distribution.log_prob(sample).dtype} == {dtype}
    assert_same(both, (sample, distribution.log_prob(sample)))


@every_entry
@pytest.mark.parametrize("shape", [(), (3,), (4, 1), (2, 0)])
def test_wrong_event_shape_is_refused(name, shape):
    with pytest.raises(ValueError, match=r"expected samples of event shape \(2,\)"):
        build(name).log_prob(jnp.zeros(shape))


@pytest.mark.long
@every_entry
def test_batches_are_samples_one_by_one(name, x64):
    distribution = build(name)
    x = distribution.sample(jax.random.key(1), (2, 3))
    each = [[distribution.log_prob(point) for point in row] for row in x]
    np.testing.assert_allclose(distribution.log_prob(x), each, rtol=1e-12)


@pytest.mark.long
@every_entry
def test_members_of_an_ensemble_one_by_one(name, x64):
    def evaluate(distribution):
        return distribution.sample(jax.random.key(2), (4,)), distribution.log_prob(jnp.array([[0.0, 1.0], [1.0, 0.0]]))

    members = [build(name, seed=seed) for seed in (0, 3)]
    together = eqx.filter_vmap(evaluate)(jax.tree.map(lambda *leaves: jnp.stack(leaves), *members))
    for i, member in enumerate(members):
        for each, alone in zip(together, evaluate(member)):
            np.testing.assert_allclose(each[i], alone, rtol=1e-12)


@every_entry
def test_keys_matter_and_nothing_else_does(name):
    first, again, other = (build(name).sample(jax.random.key(seed), (50,)) for seed in (1, 1, 2))
    assert_same(first, again)
    assert jnp.any(first != other)


@pytest.mark.long
@every_entry
def test_gradient_reaches_every_leaf_through_the_masses_and_none_through_samples(name):
    gradient = eqx.filter_grad(lambda distribution: distribution.log_prob(jnp.array([1.0, 0.0])))(build(name))
    for path, leaf in floating_leaves(gradient):
        assert jnp.all(leaf != 0), path
    gradient = eqx.filter_grad(lambda distribution: jnp.sum(distribution.sample(jax.random.key(0), (9,))))(build(name))
    for path, leaf in floating_leaves(gradient):
        np.testing.assert_array_equal(leaf, 0, path)


LOGITS = np.array([-3.0, 0.2, 1.7])


def test_bernoulli_is_the_formula(x64):
    x = every_value("bernoulli", 3)
    expected = stats.bernoulli(special.expit(LOGITS)).logpmf(x).sum(axis=-1)
    np.testing.assert_allclose(Bernoulli(jnp.asarray(LOGITS)).log_prob(x), expected, rtol=1e-12)


def test_categorical_is_the_formula(x64):
    logits = np.random.default_rng(0).normal(size=(3, 4))
    x = np.random.default_rng(1).integers(0, 4, (20, 3))
    expected = special.log_softmax(logits, axis=-1)[np.arange(3), x].sum(axis=-1)
    for shift in (0, 50.0):
        distribution = Categorical(jnp.asarray(logits + shift))
        np.testing.assert_allclose(distribution.log_prob(jnp.asarray(x, float)), expected, rtol=1e-12)


def logistic_log_mass(loc, log_scale, levels, x):
    """The naive formula in one dimension: a difference of sigmoids, on the side where they are small."""
    side = jnp.where(x / levels > loc, -1, 1)
    low = jnp.where(x == 0, -jnp.inf, (x / levels - loc) / jnp.exp(log_scale))
    high = jnp.where(x == levels - 1, jnp.inf, ((x + 1) / levels - loc) / jnp.exp(log_scale))
    return jnp.log(jnp.abs(jax.nn.sigmoid(side * high) - jax.nn.sigmoid(side * low)))


@pytest.mark.long
@pytest.mark.parametrize("levels", [2, 5, 256])
@pytest.mark.parametrize(("loc", "log_scale"), [(0.3, -1.0), (0.0, -3.0), (0.52, -4.0), (-0.4, -2.0), (1.2, 0.5)])
def test_discretized_logistic_and_its_gradients_are_the_formula(loc, log_scale, levels, x64):
    loc, log_scale = jnp.asarray(loc), jnp.asarray(log_scale)
    x = jnp.unique(jnp.round(jnp.linspace(0, levels - 1, 5)))

    def log_mass(loc, log_scale, x):
        return DiscretizedLogistic(loc[None], log_scale[None], levels).log_prob(x[None])

    expected = jax.vmap(logistic_log_mass, (None, None, None, 0))(loc, log_scale, levels, x)
    actual = jax.vmap(log_mass, (None, None, 0))(loc, log_scale, x)
    np.testing.assert_allclose(actual, expected, rtol=1e-9)
    gradients = jax.vmap(jax.grad(log_mass, (0, 1)), (None, None, 0))(loc, log_scale, x)
    step = 1e-5
    for index, gradient in enumerate(gradients):
        moved = [(loc + sign * step, log_scale) if index == 0 else (loc, log_scale + sign * step) for sign in (1, -1)]
        up, down = (jax.vmap(logistic_log_mass, (None, None, None, 0))(*at, levels, x) for at in moved)
        np.testing.assert_allclose(gradient, (up - down) / (2 * step), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("log_scale", [-20.0, -6.0, 0.0, 20.0])
@pytest.mark.parametrize("loc", [-3.0, 0.5, 4.0])
def test_masses_of_256_levels_sum_to_one(loc, log_scale, x64):
    distribution = DiscretizedLogistic(jnp.array([loc]), jnp.array([log_scale]), 256)
    np.testing.assert_allclose(jnp.exp(distribution.log_prob(jnp.arange(256.0)[:, None])).sum(), 1, rtol=1e-6)


def test_logistic_limits_in_float32():
    """A scale far above or below the range of the levels, where the mass is known."""
    log_prob = eqx.filter_jit(
        lambda loc, log_scale, x: DiscretizedLogistic(loc[None], log_scale[None], 256).log_prob(x[None])
    )

    def log_mass(*arguments):
        return float(log_prob(*map(jnp.asarray, arguments)))

    assert log_mass(0.3, 20.0, 100.0) == pytest.approx(-20 - np.log(4 * 256), rel=1e-6)
    assert log_mass(0.3, 20.0, 0.0) == pytest.approx(-np.log(2), rel=1e-6)
    assert log_mass(0.3, 20.0, 255.0) == pytest.approx(-np.log(2), rel=1e-6)
    assert log_mass(0.501, -20.0, 128.0) == 0
    assert log_mass(-3.0, -20.0, 0.0) == 0
    assert log_mass(4.0, -20.0, 255.0) == 0
    assert log_mass(2.0, -20.0, 100.0) == pytest.approx(-(2 - 101 / 256) * np.exp(20), rel=1e-5)
    assert log_mass(-1.0, -20.0, 100.0) == pytest.approx(-(1 + 100 / 256) * np.exp(20), rel=1e-5)


def extremes():
    for logit in (-1e4, 0.0, 1e4):
        yield f"bernoulli {logit}", Bernoulli(jnp.array([logit])), (0.0, 1.0)
    signs = jax.random.rademacher(jax.random.key(0), (256,), float)
    for name, logits in {
        "mixed": 1e4 * signs,
        "equal": jnp.full(256, 1e4),
        "high": jnp.full(256, -1e4).at[7].set(1e4),
        "low": jnp.full(256, 1e4).at[7].set(-1e4),
    }.items():
        yield f"categorical, {name}", Categorical(logits[None]), (0.0, 7.0, 255.0)
    for loc, log_scale, levels in itertools.product((-1e3, -1.0, 0.0, 0.5, 1.0, 2.0, 1e3), (-20.0, 20.0), (2, 256)):
        name = f"logistic at {loc}, log scale {log_scale}, {levels} levels"
        values = (0.0, float(levels // 2), levels - 1.0)
        yield name, DiscretizedLogistic(jnp.array([loc]), jnp.array([log_scale]), levels), values


@pytest.mark.long
def test_extremes_are_finite_in_value_and_gradient():
    @eqx.filter_jit
    def evaluate(distribution, x):
        value, gradient = eqx.filter_value_and_grad(lambda distribution: distribution.log_prob(x))(distribution)
        return value, gradient, distribution.sample(jax.random.key(0), (20,))

    for name, distribution, values in extremes():
        for x in values:
            value, gradient, samples = evaluate(distribution, jnp.array([x]))
            try:
                assert_finite((value, gradient, samples))
            except AssertionError as error:
                raise AssertionError(f"{name}, at {x}: {error}") from None
            assert value.dtype == jnp.float32
            assert value <= 1e-6, name
            assert jnp.all(distribution.log_prob(samples) > -1e3), name


def test_extremes_keep_what_carries_the_information():
    """Log odds that a difference of two probabilities would lose."""
    low, high = (Bernoulli(jnp.array([1e4])).log_prob(jnp.array([x])) for x in (0.0, 1.0))
    assert (low, high) == (-1e4, 0)
    low, high = (Categorical(jnp.array([[0.0, 1e4]])).log_prob(jnp.array([x])) for x in (0.0, 1.0))
    assert (low, high) == (-1e4, 0)
