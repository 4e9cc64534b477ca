"""Bounds and their gradients, on a linear-Gaussian model whose `p(x)` and `p(z | x)` are known, and on real digits."""

from itertools import pairwise

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import logsumexp

from pushforward import flows, training
from pushforward.data.observe import Observation
from pushforward.models import DLGM, HeldOutBound, NegativeBound, draw
from tests.checks import assert_finite, floating_leaves, randomised
from tests.models import linear_gaussian
from tests.models.linear_gaussian import BIAS, DIM, LATENTS, NOISE, WEIGHT, X, divergence, log_evidence

pytestmark = pytest.mark.long

GRADIENTS = ("reparameterised", "stick-the-landing", "doubly-reparameterised")
REAL = Observation("real", 0)
STEP = jnp.asarray(0)

# The estimator without the score of q that belongs to each objective.
PATHS = {"free-energy": "stick-the-landing", "iwae": "doubly-reparameterised"}


def images():
    return jnp.asarray(X, float)


def bound(draws=1, batch_size=3, **options):
    return NegativeBound(images(), REAL, batch_size, draws, **options)


def gradients_over_keys(model, loss, keys):
    """Gradients for many keys, along a leading axis of every leaf."""

    @eqx.filter_jit
    def run(model, keys):
        return jax.lax.map(lambda key: eqx.filter_grad(lambda model: loss(model, key, STEP))(model), keys)

    return run(model, keys)


def flow_model():
    """A posterior of planar layers that is far from exact."""
    flow = flows.planar(jax.random.key(3), LATENTS, 2).bijection
    made = linear_gaussian.model(flow=flow, shift=0.2, stretch=1.3)
    return jax.tree.map(
        lambda leaf, noise: leaf + noise if eqx.is_inexact_array(leaf) else leaf,
        made,
        randomised(made, jax.random.key(4), 0.1),
    )


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_weights_of_the_exact_posterior_are_the_evidence(gradient, x64):
    model = linear_gaussian.model()
    for x in X:
        draws = draw(model, jnp.asarray(x), jax.random.key(1), 20, gradient)
        np.testing.assert_allclose(draws.log_weights, log_evidence(x), rtol=1e-10)
        assert np.ptp(draws.log_likelihood) > 0.1
        np.testing.assert_array_equal(draws.log_weights, draws.log_likelihood + draws.log_prior - draws.log_posterior)


@pytest.mark.parametrize("objective", PATHS)
def test_loss_of_the_exact_posterior_is_minus_the_evidence_of_its_rows(objective, x64):
    """Rows come with replacement: the mean over 500 minibatches of 2 within 5 standard errors of that over all rows."""
    loss = bound(3, batch_size=2, objective=objective)
    keys = jax.random.split(jax.random.key(1), 500)
    losses = np.asarray(jax.jit(jax.vmap(lambda key: loss(linear_gaussian.model(), key, STEP)))(keys))
    pairs = {round(-np.mean(log_evidence(X[[i, j]])), 4) for i in range(3) for j in range(i, 3)}
    assert set(np.round(losses, 4)) == pairs
    assert abs(losses.mean() + log_evidence(X).mean()) < 5 * losses.std() / np.sqrt(500)


@pytest.mark.parametrize(("shift", "stretch"), [(0.0, 1.4), (0.5, 0.7)])
def test_free_energy_is_minus_the_evidence_plus_the_divergence(shift, stretch, x64):
    """50,000 draws for each of 3 observations, 5 standard errors: an error rate below 1e-5."""
    model = linear_gaussian.model(shift=shift, stretch=stretch)
    run = eqx.filter_jit(lambda model, x: draw(model, x, jax.random.key(1), 50_000).log_weights)
    for x in X:
        log_weights = run(model, jnp.asarray(x))
        expected = -log_evidence(x) + divergence(shift, stretch)
        assert abs(np.mean(-log_weights) - expected) < 5 * np.std(log_weights) / np.sqrt(50_000)
    assert divergence(shift, stretch) > 0.1


def test_importance_weighted_bound_rises_with_the_draws_towards_the_evidence(x64):
    """2,000 bounds of each; consecutive means are 5 standard errors apart or more."""
    model, x = linear_gaussian.model(shift=0.4, stretch=1.3), jnp.asarray(X[:1])
    keys = jax.random.split(jax.random.key(1), 2000)
    bounds = []
    for draws in (1, 4, 16):
        loss = NegativeBound(x, REAL, 1, draws, objective="iwae")
        bounds.append(-np.asarray(jax.jit(jax.vmap(lambda key, loss=loss: loss(model, key, STEP)))(keys)))
    means = [*(each.mean() for each in bounds), float(log_evidence(X[0]))]
    errors = [*(each.std() / np.sqrt(2000) for each in bounds), 0]
    for (low, high), error in zip(pairwise(means), np.hypot(errors[:-1], errors[1:])):
        assert high - low > 5 * error


def test_one_draw_is_the_free_energy(x64):
    model, key = linear_gaussian.model(shift=0.4), jax.random.key(1)
    np.testing.assert_allclose(bound(objective="iwae")(model, key, STEP), bound()(model, key, STEP), rtol=1e-12)


@pytest.mark.parametrize("objective", PATHS)
def test_estimators_have_one_value_and_one_mean_gradient(objective, x64):
    """Over 3,000 keys no number of any gradient is 5.5 standard errors off: by chance with probability 1e-5.

    That of the decoder is the same draw by draw.
    """
    model, keys = flow_model(), jax.random.split(jax.random.key(2), 3000)
    plain, path = (bound(4, objective=objective, gradient=name) for name in ("reparameterised", PATHS[objective]))
    np.testing.assert_allclose(path(model, keys[0], STEP), plain(model, keys[0], STEP), rtol=1e-10)
    differences = jax.tree.map(jnp.subtract, *(gradients_over_keys(model, loss, keys) for loss in (path, plain)))
    for name, leaf in floating_leaves(differences.decoder):
        np.testing.assert_allclose(leaf, 0, atol=1e-9, err_msg=name)
    for name, leaf in floating_leaves(differences.posterior):
        error = np.std(leaf, axis=0) / np.sqrt(len(keys))
        assert np.any(error > 0), f"the two estimators are the same in {name}"
        assert np.all(np.abs(np.mean(leaf, axis=0)) <= 5.5 * error), name


@pytest.mark.parametrize(("objective", "gradient"), [*PATHS.items(), ("free-energy", "reparameterised")])
def test_gradient_at_the_exact_posterior(objective, gradient, x64):
    """No force on the posterior, but for the noise of the plain estimator; on the decoder that of the evidence.

    `grad log p(x) = E[grad log p(x, z)]` under `p(z | x)`: over 2,000 keys, 5 standard errors, 12 numbers.
    """
    model, keys = linear_gaussian.model(), jax.random.split(jax.random.key(2), 2000)
    loss = NegativeBound(images()[:1], REAL, 1, 3, objective=objective, gradient=gradient)
    found = gradients_over_keys(model, loss, keys)
    largest = max(float(jnp.max(jnp.abs(leaf))) for _, leaf in floating_leaves(found.posterior))
    assert largest > 0.1 if gradient == "reparameterised" else largest < 1e-10

    def minus_log_evidence(weight, bias):
        covariance = weight @ weight.T + NOISE**2 * jnp.eye(DIM)
        return -jax.scipy.stats.multivariate_normal.logpdf(images()[0], bias, covariance)

    expected = jax.grad(minus_log_evidence, (0, 1))(jnp.asarray(WEIGHT), jnp.asarray(BIAS))
    layer = found.decoder.networks[0].layers[0]
    for actual, wanted in zip((layer.weight[:, :DIM], layer.bias[:, :DIM]), expected):
        error = np.std(actual, axis=0) / np.sqrt(len(keys))
        assert np.all(np.abs(np.mean(actual, axis=0) - wanted) < 5 * error)


def test_doubly_reparameterised_gradients_vary_less(x64):
    """With 32 draws, where the plain gradient of the importance-weighted bound is mostly noise."""
    model, keys = linear_gaussian.model(shift=0.2, stretch=1.2), jax.random.split(jax.random.key(2), 500)
    variances = {}
    for gradient in ("reparameterised", "doubly-reparameterised"):
        found = gradients_over_keys(model, bound(32, objective="iwae", gradient=gradient), keys)
        variances[gradient] = sum(float(np.var(leaf, axis=0).sum()) for _, leaf in floating_leaves(found.posterior))
    assert variances["doubly-reparameterised"] < 0.2 * variances["reparameterised"]


def terms(model, loss, key):
    """`(log p(x | z), log p(z), log q(z | x))` of every draw of a step, one observation at a time."""
    key_rows, key_observation, key_draws = jax.random.split(key, 3)
    rows = jax.random.randint(key_rows, (loss.batch_size,), 0, len(loss.images))
    x = loss.observation(loss.images[rows], key_observation)
    each = []
    for row, row_key in zip(x, jax.random.split(key_draws, loss.batch_size)):
        z, log_q = model.posterior(row).sample_and_log_prob(row_key, (loss.draws,))
        each.append([(model.decoder(point).log_prob(row), model.prior.log_prob(point)) for point in z])
        each[-1] = [(*numbers, log) for numbers, log in zip(each[-1], log_q)]
    return np.moveaxis(np.asarray(each, np.float64), -1, 0)


@pytest.mark.parametrize("free_bits", [0.0, 1e3])
@pytest.mark.parametrize("annealed", ["joint", "kl"])
def test_annealing_and_free_bits_are_the_formulas(annealed, free_bits, x64):
    """Also where few draws make the estimate of the divergence negative."""
    model = linear_gaussian.model(shift=0.3, stretch=2.0)
    loss = bound(1, batch_size=1, annealed=annealed, annealing_steps=100, free_bits=free_bits)
    run = eqx.filter_jit(lambda model, key, step: loss(model, key, step))
    divergences = []
    for seed, step, beta in ((0, 0, 0.01), (1, 49, 0.5), (2, 1000, 1.0), (3, 1000, 1.0), (4, 49, 0.5), (5, 0, 0.01)):
        log_likelihood, log_prior, log_q = terms(model, loss, jax.random.key(seed))
        divergences.append(np.mean(log_q - log_prior))
        if annealed == "kl":
            divergence = max(divergences[-1], free_bits) if free_bits else divergences[-1]
            expected = beta * divergence - np.mean(log_likelihood)
        elif free_bits:
            expected = free_bits + (1 - beta) * np.mean(log_prior) - beta * np.mean(log_likelihood)
        else:
            expected = np.mean(log_q - beta * (log_likelihood + log_prior))
        np.testing.assert_allclose(run(model, jax.random.key(seed), jnp.asarray(step)), expected, rtol=1e-10)
    assert min(divergences) < -0.1
    assert 0.1 < max(divergences) < 1e3


@pytest.mark.parametrize("gradient", ["reparameterised", "doubly-reparameterised"])
def test_importance_weighted_bound_is_the_formula(gradient, x64):
    model, key = linear_gaussian.model(shift=0.3), jax.random.key(7)
    loss = bound(5, objective="iwae", gradient=gradient)
    log_likelihood, log_prior, log_q = terms(model, loss, key)
    expected = -np.mean(logsumexp(log_likelihood + log_prior - log_q, axis=-1) - np.log(5))
    np.testing.assert_allclose(loss(model, key, STEP), expected, rtol=1e-10)


@pytest.mark.parametrize("annealed", ["joint", "kl"])
def test_a_divergence_below_the_free_bits_exerts_no_force(annealed, x64):
    model, key = linear_gaussian.model(shift=0.3), jax.random.key(7)
    free, enough, none = (
        eqx.filter_jit(
            eqx.filter_grad(lambda model, bits=bits: bound(2, annealed=annealed, free_bits=bits)(model, key, STEP))
        )
        for bits in (1e3, 1e-3, 0.0)
    )
    for (name, actual), (_, expected) in zip(floating_leaves(enough(model)), floating_leaves(none(model))):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12, err_msg=name)

    @eqx.filter_grad
    def reconstruction(model):
        key_rows, _, key_draws = jax.random.split(key, 3)
        x = images()[jax.random.randint(key_rows, (3,), 0, 3)]
        keys = jax.random.split(key_draws, 3)
        return -jnp.mean(jax.vmap(lambda x, key: draw(model, x, key, 2).log_likelihood)(x, keys))

    for (name, actual), (_, expected) in zip(floating_leaves(free(model)), floating_leaves(reconstruction(model))):
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def pixel_model(key=None):
    flow = flows.planar(jax.random.key(3), 2, 2).bijection
    key = jax.random.key(0) if key is None else key
    return DLGM.init(key, 64, (2,), flow=flow, hidden=(16,), activation="relu")


@pytest.fixture(scope="module")
def digits():
    """8 x 8 pixels of 17 grey levels."""
    from sklearn.datasets import load_digits

    return load_digits().data.astype(np.uint8)


DYNAMIC = Observation("dynamic", 17)


@pytest.mark.parametrize("batch_size", [1, 4, 10, 500])
def test_held_out_bound_is_the_mean_of_its_draws(batch_size, digits):
    model, rows = pixel_model(), jnp.asarray(digits[:10])
    held_out = HeldOutBound(rows, DYNAMIC, batch_size)
    key_observation, key_draws = jax.random.split(jax.random.key(0))
    x = DYNAMIC(rows, key_observation)
    each = eqx.filter_jit(jax.vmap(lambda x, key: draw(model, x, key, 1).log_weights[0]))
    expected = -np.mean(each(x, jax.random.split(key_draws, 10)))
    run = eqx.filter_jit(lambda held_out, model: held_out(model))
    np.testing.assert_allclose(run(held_out, model), expected, rtol=1e-5)
    assert run(held_out, model) == run(held_out, model)


def test_held_out_bound_of_the_exact_posterior_is_minus_the_evidence(x64):
    held_out = HeldOutBound(images(), REAL, 2)(linear_gaussian.model())
    np.testing.assert_allclose(held_out, -log_evidence(X).mean(), rtol=1e-10)


def test_every_step_observes_the_images_anew(digits):
    """Under one key the loss is the same, under another one of a single row it is not: pixels are drawn anew."""
    model = pixel_model()
    loss = NegativeBound(jnp.asarray(digits[:1]), DYNAMIC, 1)
    first, again, other = (loss(model, jax.random.key(seed), STEP) for seed in (1, 1, 2))
    assert first == again
    assert abs(first - other) > 1e-3


@pytest.mark.parametrize(
    ("options", "length"),
    [
        ({"annealing_steps": 20}, 2),
        ({"objective": "iwae", "gradient": "doubly-reparameterised", "draws": 4}, 0),
    ],
)
def test_training_on_digits(options, length, digits):
    """60 steps lower the bound of held-out digits by 8 nats or more, from 55 at the start."""
    flow = flows.planar(jax.random.key(3), 2, length).bijection if length else None
    models = training.ensemble(
        lambda key: DLGM.init(key, 64, (2,), flow=flow, hidden=(16,), activation="relu"), jax.random.key(0), 1
    )
    validate = HeldOutBound(jnp.asarray(digits[1500:1600]), DYNAMIC)
    start = validate(training.member(models, 0))
    fitted = training.fit(
        models,
        NegativeBound(jnp.asarray(digits[:1500]), DYNAMIC, 32, **options),
        key=jax.random.key(1),
        steps=60,
        optimizer=optax.adam(1e-2),
        record_every=20,
        validate=validate,
    )
    assert_finite(fitted.model)
    assert [record.step for record in fitted.records] == [20, 40, 60]
    assert fitted.best_losses[0] < start - 8
    np.testing.assert_allclose(validate(training.member(fitted.model, 0)), fitted.best_losses[0], rtol=1e-4)
