"""Densities of states of distributions and of data under a flow."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pushforward import flows
from pushforward.bijections import DiagonalAffine
from pushforward.distributions import Mixture, Normal, Pushforward, Uniform
from pushforward.errors import UserError
from pushforward.states import closed_form, density_of_states, from_data, from_draws

MIXTURE = Mixture(jnp.zeros(2), Normal(jnp.array([[-2.0, 0.0], [2.0, 0.0]]), jnp.zeros((2, 2))))


def test_a_closed_form_is_taken_where_there_is_one():
    states = density_of_states(Normal.standard(4))
    assert states.sample_size is None
    assert states.variance == 2


def test_other_distributions_are_sampled():
    states = density_of_states(MIXTURE, jax.random.key(0), 20_001)
    assert states.sample_size == 20_001
    with pytest.raises(UserError, match="of a Mixture has no closed form: give a key"):
        density_of_states(MIXTURE)


def test_a_constant_volume_is_never_run():
    """The base is sampled, and the map only asked for its determinant."""
    flow = Pushforward(MIXTURE, DiagonalAffine(jnp.zeros(2), jnp.array([0.5, 0.25])))
    key = jax.random.key(0)
    states, base = density_of_states(flow, key, 1000), density_of_states(MIXTURE, key, 1000)
    assert states.mean == pytest.approx(base.mean - 0.75, abs=1e-6)
    assert states.variance == pytest.approx(base.variance)


def test_draws_follow_the_closed_form():
    law = Normal(jnp.zeros(3), jnp.full(3, 0.4))
    states = from_draws(law, jax.random.key(0), 50_000)
    assert stats.kstest(states.continuous.values, closed_form(law).cdf).pvalue > 1e-4


def test_a_uniform_has_one_atom():
    states = from_draws(Uniform(jnp.zeros(2), jnp.full(2, 2.0)), jax.random.key(0), 1000)
    np.testing.assert_allclose(states.positions, -np.log(4), rtol=1e-6)
    np.testing.assert_array_equal(states.masses, 1)


def test_data_under_a_flow():
    flow = flows.planar(jax.random.key(0), 2, 2)
    x = np.random.default_rng(0).normal(size=(5001, 2)).astype(np.float32)
    states = from_data(flow, x)
    expected = eqx.filter_jit(flow.log_prob)(jnp.asarray(x))
    assert states.sample_size == 5001
    assert states.mean == pytest.approx(float(expected.mean()), abs=1e-5)


def test_rows_of_zero_density_are_an_atom():
    x = np.array([[0.5, 0.5], [0.2, 0.1], [3.0, 0.5], [0.9, 0.8]], np.float32)
    states = from_data(Uniform(jnp.zeros(2), jnp.ones(2)), x)
    np.testing.assert_array_equal(states.positions, [-np.inf, 0])
    np.testing.assert_allclose(states.masses, [0.25, 0.75])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_draws(MIXTURE, jax.random.key(0), 0), "samples are needed"),
        (lambda: from_data(MIXTURE, np.zeros((0, 2), np.float32)), "there are no data"),
        (lambda: from_data(MIXTURE, np.full((3, 2), np.nan, np.float32)), "3 of 3 log-densities are NaN"),
        (lambda: from_data(MIXTURE, np.zeros((3, 4), np.float32)), r"expected samples of event shape \(2,\)"),
    ],
)
def test_bad_input_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
