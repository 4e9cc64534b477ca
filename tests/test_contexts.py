"""Contexts in their own units, and the conditional flows that take them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import pushforward
from pushforward import flows
from pushforward.bijections import DiagonalAffine
from pushforward.conditional import amortize, condition
from pushforward.contexts import Encoder, Standardised
from pushforward.distributions import Normal, Pushforward
from pushforward.errors import UserError
from pushforward.objectives import ForwardKL, HeldOut
from pushforward.training import adam, ensemble, fit, member

KEY = jax.random.key(0)
COLUMNS, CATEGORIES = ("rooms", "city"), ((), ("Lima", "Oslo", "Rome"))
CONTEXTS = np.array([[1.0, 0], [3.0, 1], [5.0, 2], [7.0, 2]])


@pytest.fixture(scope="module")
def encoder():
    return Encoder.of(COLUMNS, CATEGORIES, CONTEXTS)


def test_numbers_are_standardised_and_categories_one_hot(encoder):
    assert encoder.size == 4
    expected = np.column_stack([(CONTEXTS[:, 0] - 4) / np.sqrt(5), np.eye(3)[[0, 1, 2, 2]]])
    np.testing.assert_allclose(jax.vmap(encoder)(jnp.asarray(CONTEXTS)), expected, rtol=1e-6)
    np.testing.assert_allclose(encoder.all(CONTEXTS), expected, rtol=1e-6)


def test_a_place_that_is_no_category_is_not_a_number(encoder):
    assert jnp.isnan(encoder(jnp.array([1.0, 3.0]))[1:]).all()
    assert jnp.isnan(encoder(jnp.array([1.0, 0.5]))[1:]).all()


def test_contexts_by_name(encoder):
    assert encoder.context({"city": "Rome", "rooms": "3"}).tolist() == [3.0, 2.0]
    for values, message in (
        ({"romos": 3, "city": "Rome"}, "did you mean 'rooms'"),
        ({"rooms": 3}, "the context lacks city"),
        ({"rooms": "many", "city": "Rome"}, "rooms must be a number, got 'many'"),
        ({"rooms": "nan", "city": "Rome"}, "rooms must be a finite number"),
        ({"rooms": 3, "city": "Roma"}, "city has no category 'Roma'; did you mean 'Rome'"),
    ):
        with pytest.raises(UserError, match=message):
            encoder.context(values)


def test_numbers_outside_of_those_trained_on_are_named(encoder):
    assert encoder.outside(CONTEXTS) == []
    (found,) = encoder.outside(np.array([[3.0, 1], [70.0, 2]]))
    assert found == "rooms 70 lies outside what was trained on, 1 to 7"


def linear(slope, scale):
    """A conditional flow that is a linear regression: the flow in standard units is N(0, 1)."""
    encoder = Encoder.of(["c"], [()], np.array([[0.0], [2.0]]))
    normal = Pushforward(Normal.standard(1), DiagonalAffine.identity(1))
    units = DiagonalAffine(jnp.array([0.5]), jnp.log(jnp.array([scale])))
    return Standardised(encoder, lambda _: normal, jnp.array([[slope]]), units)


def test_a_regression_has_the_density_of_its_residuals():
    model = linear(3.0, 0.1)
    contexts, rows = np.array([[0.0], [1.0], [4.0]]), np.array([[-2.4], [0.6], [9.0]])
    expected = stats.norm(3.0 * (contexts - 1) + 0.5, 0.1).logpdf(rows)[:, 0]
    np.testing.assert_allclose(model.log_prob(jnp.asarray(contexts), jnp.asarray(rows)), expected, rtol=1e-4)
    draws = model(jnp.array([4.0])).sample(KEY, (4000,))
    assert abs(draws.mean() - 9.5) < 5 * 0.1 / 4000**0.5


def test_held_out_rows_keep_their_contexts():
    """The last batch is not a whole one."""
    model = linear(3.0, 0.5)
    contexts = jnp.linspace(-1, 1, 10)[:, None]
    rows = 3 * contexts
    each = HeldOut(rows, 4, contexts=contexts).each(model, KEY)
    np.testing.assert_allclose(each, model.log_prob(contexts, rows), rtol=1e-6)
    np.testing.assert_allclose(HeldOut(rows, 4, contexts=contexts)(model), -each.mean(), rtol=1e-6)


@pytest.mark.parametrize("make", [condition, amortize])
def test_a_conditional_density_is_learned(make):
    """y is N(c, 0.2) or N(-c, 0.2) by a coin: within 0.1 nats of the entropy, and two humps at c = 1."""
    key_data, key_fit = jax.random.split(KEY)
    key_c, key_sign, key_noise = jax.random.split(key_data, 3)
    contexts = jax.random.uniform(key_c, (4000, 1), minval=-1, maxval=1)
    signs = jax.random.rademacher(key_sign, (4000, 1), dtype=float)
    x = signs * contexts + 0.2 * jax.random.normal(key_noise, (4000, 1))

    def model(key):
        key_flow, key_context = jax.random.split(key)
        return make(flows.nsf_autoregressive(key_flow, 1, 2, width=16), key_context, 1)

    loss = ForwardKL(x[:3000], 128, contexts=contexts[:3000])
    trained = fit(ensemble(model, key_fit, 1), loss, key=key_fit, steps=1500, optimizer=adam(3e-3, 1500))
    density = member(trained.model, 0)
    test, given = x[3000:, 0], contexts[3000:, 0]
    truth = np.logaddexp(stats.norm(given, 0.2).logpdf(test), stats.norm(-given, 0.2).logpdf(test)) - np.log(2)
    found = -HeldOut(x[3000:], contexts=contexts[3000:])(density)
    assert truth.mean() - found < 0.1
    at_one = density(jnp.ones(1))
    humps = at_one.log_prob(jnp.array([[1.0], [-1.0], [0.0]]))
    assert humps[0] > humps[2] + 1
    assert humps[1] > humps[2] + 1


def test_a_conditional_flow_is_saved_with_its_units(tmp_path, encoder):
    flow = condition(flows.maf(KEY, 2, 2), KEY, encoder.size)
    model = Standardised(encoder, flow, jnp.zeros((2, 4)), DiagonalAffine.identity(2))
    loaded = pushforward.load(pushforward.save(model, tmp_path / "flow.pf"))
    context = jnp.array(loaded.encoder.context({"rooms": 2, "city": "Oslo"}))
    x = jnp.ones(2)
    assert loaded(context).log_prob(x) == model(context).log_prob(x)
