"""The contract of `Distribution`, to which every entry of `constructors.py` is held."""

import inspect

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import pushforward.distributions
from pushforward.distributions import Distribution
from tests.checks import assert_finite, assert_same, bin_masses, chi_square_p_value, floating_leaves
from tests.distributions.constructors import DISCRETE, ENTRIES

every_entry = pytest.mark.parametrize("name", ENTRIES)
every_dim = pytest.mark.parametrize("dim", [1, 2])


def build(name, dim=2, seed=0):
    return ENTRIES[name].build(jax.random.key(seed), dim)


def box(name, dim):
    return (ENTRIES[name].side,) * dim


def test_every_public_distribution_is_covered():
    public = {
        value
        for value in vars(pushforward.distributions).values()
        if inspect.isclass(value) and issubclass(value, Distribution) and not inspect.isabstract(value)
    }
    covered = {type(entry.build(jax.random.key(0), 2)) for entry in (*ENTRIES.values(), *DISCRETE.values())}
    assert public - covered == set(), "add a line to tests/distributions/constructors.py"


@pytest.mark.long
@every_entry
@pytest.mark.parametrize("batch", [(), (3,), (2, 3), (0,)])
def test_shapes(name, batch):
    distribution = build(name)
    sample, both, score = eqx.filter_eval_shape(everything, distribution, jax.random.key(1), batch)
    assert distribution.shape == (2,)
    assert sample.shape == both[0].shape == (*batch, 2)
    assert both[1].shape == score.shape == batch


@pytest.mark.long
@every_entry
def test_dtype_and_agreement(name, dtype):
    sample, (x, log_prob), separate = eqx.filter_jit(everything)(build(name), jax.random.key(1), (50,))
    assert {sample.dtype, x.dtype, log_prob.dtype, separate.dtype} == {dtype}
    tolerance = 1e4 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(x, sample, rtol=tolerance)
    np.testing.assert_allclose(log_prob, separate, rtol=tolerance, atol=tolerance)


def everything(distribution, key, batch):
    """A sample, a sample with its log-density, and that log-density by itself."""
    both = distribution.sample_and_log_prob(key, batch)
    return distribution.sample(key, batch), both, distribution.log_prob(both[0])


@pytest.mark.long
@every_entry
def test_batches_are_samples_one_by_one(name, x64):
    distribution = build(name)
    log_prob = eqx.filter_jit(distribution.log_prob)
    x = eqx.filter_jit(distribution.sample)(jax.random.key(1), (2, 3))
    each = [[log_prob(point) for point in row] for row in x]
    np.testing.assert_allclose(log_prob(x), each, rtol=1e-9, atol=1e-9)


@pytest.mark.long
@every_entry
@every_dim
def test_density_integrates_to_one(name, dim, x64):
    masses = bin_masses(build(name, dim).log_prob, box(name, dim), fine=ENTRIES[name].fine)
    np.testing.assert_allclose(masses.sum(), 1, atol=1e-4)


@pytest.mark.long
@every_entry
@every_dim
def test_samples_follow_the_density(name, dim):
    """Chi-square on 40 bins a dimension; a right sampler fails one of the 30 cases with probability 3e-3."""
    distribution = build(name, dim)
    masses = bin_masses(distribution.log_prob, box(name, dim), bins=40, fine=12)
    samples = eqx.filter_jit(lambda distribution: distribution.sample(jax.random.key(5), (20_000,)))(distribution)
    assert chi_square_p_value(samples, masses, box(name, dim)) > 1e-4


@pytest.mark.long
@every_entry
def test_keys_matter_and_nothing_else_does(name):
    distribution = build(name)
    first, again, other = (distribution.sample(jax.random.key(seed), (5,)) for seed in (1, 1, 2))
    assert_same(first, again)
    assert jnp.all(first != other)
    assert len(np.unique(first)) == first.size


@pytest.mark.long
@every_entry
def test_gradient_reaches_every_trained_leaf_and_no_other(name):
    """Of a sample's sum plus its log-density, and of the log-density at a point."""

    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(distribution):
        x, log_prob = distribution.sample_and_log_prob(jax.random.key(0), (3,))
        return jnp.sum(x) + jnp.sum(jnp.cos(log_prob)) + jnp.sum(distribution.log_prob(jnp.array([0.4, 0.9])))

    gradients = gradient(build(name))
    assert_finite(gradients)
    for path, leaf in floating_leaves(gradients):
        assert jnp.any(leaf != 0) == ENTRIES[name].trained, f"the gradient to {path} is {leaf}"


@pytest.mark.long
@every_entry
def test_ensembles_are_members_one_by_one(name, x64):
    @eqx.filter_jit
    def evaluate(distribution):
        return distribution.sample(jax.random.key(2), (4,)), distribution.log_prob(jnp.array([[0.4, 0.9], [-0.3, 1.2]]))

    members = [build(name, seed=seed) for seed in (0, 3)]
    arrays = [eqx.filter(member, eqx.is_array) for member in members]
    ensemble = eqx.combine(jax.tree.map(lambda *leaves: jnp.stack(leaves), *arrays), members[0])
    assert ensemble.shape == (2,)
    together = eqx.filter_vmap(evaluate)(ensemble)
    for i, member in enumerate(members):
        for each, alone in zip(together, evaluate(member)):
            np.testing.assert_allclose(each[i], alone, rtol=1e-9, atol=1e-9)


@every_entry
@pytest.mark.parametrize("shape", [(), (3,), (4, 1), (2, 0)])
def test_wrong_event_shape_is_refused(name, shape):
    with pytest.raises(ValueError, match=r"expected samples of event shape \(2,\)"):
        build(name).log_prob(jnp.zeros(shape))


@pytest.mark.long
@every_entry
def test_saved_and_loaded(name, tmp_path):
    saved, skeleton = build(name, seed=0), build(name, seed=3)
    eqx.tree_serialise_leaves(tmp_path / "distribution.eqx", saved)
    loaded = eqx.tree_deserialise_leaves(tmp_path / "distribution.eqx", skeleton)
    key = jax.random.key(1)
    assert_same(loaded.sample_and_log_prob(key, (5,)), saved.sample_and_log_prob(key, (5,)))
