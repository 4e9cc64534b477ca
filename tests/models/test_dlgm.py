"""Deep latent Gaussian models: how they start, what they compute, what a gradient reaches."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from pushforward import flows
from pushforward.bijections import DiagonalAffine, TriangularAffine
from pushforward.conditional import Amortized, Conditional, Shared
from pushforward.distributions import Normal, Pushforward
from pushforward.models import DLGM, LIKELIHOODS, Decoder, Posterior, draw
from pushforward.models.networks import ByParameter
from pushforward.nets import Dense, Sequential
from tests.checks import assert_finite, floating_leaves, randomised

DIM, LATENTS = 6, 3
X = np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])

FLOWS = {
    "none": (None, "parameters"),
    "planar": ("planar", "parameters"),
    "radial": ("radial", "parameters"),
    "sylvester": ("sylvester", "parameters"),
    "nice": ("nice", "context"),
    "real_nvp": ("real_nvp", "context"),
    "iaf": ("iaf", "context"),
    "planar, shared": ("planar", "none"),
    "iaf, shared": ("iaf", "none"),
}
every_flow = pytest.mark.parametrize("name", FLOWS)


def make_flow(recipe, latents=LATENTS, length=2):
    options = {"width": 4} if recipe in ("nice", "real_nvp", "iaf") else {}
    return flows.RECIPES[recipe](jax.random.key(5), latents, length, **options).bijection


def build(name="none", latents=(LATENTS,), **options):
    recipe, amortized = FLOWS[name]
    flow = None if recipe is None else make_flow(recipe, sum(latents))
    options = {"hidden": (8,), "pieces": 2, **options}
    return DLGM.init(jax.random.key(0), DIM, latents, flow=flow, amortized=amortized, **options)


def at_random(model, scale=0.3, seed=1):
    return randomised(model, jax.random.key(seed), scale)


def x_of(values=X):
    return jnp.asarray(values, float)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "covariance"), [*((name, "diagonal") for name in FLOWS), ("none", "full"), ("planar", "full")]
)
def test_posterior_starts_as_the_flow_of_a_standard_normal(name, covariance):
    model, key = build(name, covariance=covariance), jax.random.key(1)
    recipe, noise = FLOWS[name][0], Normal.standard(LATENTS)
    expected = noise if recipe is None else Pushforward(noise, make_flow(recipe))
    actual = eqx.filter_jit(lambda model: model.posterior(x_of()).sample(key, (4,)))(model)
    wanted = eqx.filter_jit(lambda expected: expected.sample(key, (4,)))(expected)
    np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.long
@pytest.mark.parametrize("amortized", ["parameters", "none"])
def test_no_layers_at_all_are_the_normal(amortized):
    flow = make_flow("planar", length=0)
    model = at_random(DLGM.init(jax.random.key(0), DIM, (LATENTS,), flow=flow, amortized=amortized, hidden=(8,)))
    posterior = model.posterior(x_of())
    affine = model.posterior.affine(model.posterior.encoder(x_of()))
    z, log_prob = posterior.sample_and_log_prob(jax.random.key(1), (4,))
    expected = stats.norm(affine.loc, np.exp(affine.log_scale)).logpdf(z).sum(axis=-1)
    np.testing.assert_allclose(log_prob, expected, rtol=1e-4)


@pytest.mark.long
@every_flow
def test_density_of_the_posterior_and_its_dependence_on_the_observation(name, x64):
    """Forward and inverted densities agree, and each part depends on x as it is meant to."""
    model = at_random(build(name, covariance="full"))

    @eqx.filter_jit
    def evaluate(model, x):
        posterior = model.posterior(x)
        z, log_prob = posterior.sample_and_log_prob(jax.random.key(1), (20,))
        return log_prob, posterior.log_prob(z), posterior

    log_prob, inverted, posterior = evaluate(model, x_of())
    np.testing.assert_allclose(inverted, log_prob, rtol=1e-6, atol=1e-6)
    _, _, other = evaluate(model, x_of(1 - X))
    (affine, *layers), (other_affine, *other_layers) = posterior.bijection.bijections, other.bijection.bijections
    assert jnp.all(affine.loc != other_affine.loc)
    same = [bool(jnp.all(a == b)) for (_, a), (_, b) in zip(floating_leaves(layers), floating_leaves(other_layers))]
    match FLOWS[name]:
        case None, _:
            assert same == []
        case _, "parameters":
            assert not any(same)
        case _, "context":
            assert 0 < sum(same) < len(same)
        case _, "none":
            assert all(same)


@pytest.mark.long
@pytest.mark.parametrize("name", FLOWS)
def test_kind_of_amortisation(name):
    kind = {"parameters": Amortized, "context": Conditional, "none": Shared}[FLOWS[name][1]]
    flow = build(name).posterior.flow
    assert flow is None if name == "none" else isinstance(flow, kind)


def test_full_covariance(x64):
    posterior = at_random(build(covariance="full"), scale=0.7).posterior
    affine = posterior.affine(posterior.encoder(x_of()))
    assert isinstance(affine, TriangularAffine)
    assert isinstance(build().posterior.affine(jnp.zeros(8)), DiagonalAffine)
    factor = np.tril(affine.below, -1) + np.diag(np.exp(affine.log_diagonal))
    covariance = factor @ factor.T
    assert np.all(np.abs(covariance[np.triu_indices(LATENTS, 1)]) > 0.01)
    z, log_prob = posterior(x_of()).sample_and_log_prob(jax.random.key(1), (6,))
    np.testing.assert_allclose(log_prob, stats.multivariate_normal(affine.loc, covariance).logpdf(z), rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "gradient"),
    [*((name, "doubly-reparameterised") for name in FLOWS), ("planar", "reparameterised"), ("iaf", "reparameterised")],
)
@pytest.mark.long
def test_gradient_reaches_every_parameter(name, gradient):
    """From parameters at random."""
    model = at_random(build(name, latents=(2, 1), covariance="full", activation="tanh"))

    @eqx.filter_jit
    @eqx.filter_grad
    def gradients(model):
        log_weights = draw(model, x_of(), jax.random.key(2), 8, gradient).log_weights
        return jnp.sum(jnp.cos(log_weights))

    found = gradients(model)
    assert_finite(found)
    paths = dict(floating_leaves(found))
    assert any("decoder" in path for path in paths)
    assert any("posterior.encoder" in path for path in paths)
    assert (name == "none") != any("posterior.flow" in path for path in paths)
    for path, leaf in paths.items():
        assert jnp.any(leaf != 0), f"nothing reaches {path}"


def test_one_observation_and_many():
    model = at_random(build("planar"))
    xs = jax.random.bernoulli(jax.random.key(1), 0.5, (5, DIM)).astype(float)
    zs = jax.random.normal(jax.random.key(2), (5, LATENTS))
    together = eqx.filter_jit(lambda model, xs, zs: jax.vmap(model.log_joint)(xs, zs))(model, xs, zs)
    np.testing.assert_allclose(together, [model.log_joint(x, z) for x, z in zip(xs, zs)], rtol=1e-5)
    assert len(np.unique(together)) == 5
    keys = jax.random.split(jax.random.key(3), 5)
    run = eqx.filter_jit(lambda model, x, key: draw(model, x, key, 2).log_weights)
    log_weights = eqx.filter_vmap(run, in_axes=(None, 0, 0))(model, xs, keys)
    alone = [run(model, x, key) for x, key in zip(xs, keys)]
    np.testing.assert_allclose(log_weights, alone, rtol=1e-4, atol=1e-4)


def dense(layer, x, pieces=1, activation=None):
    """A dense layer by NumPy."""
    rows = len(layer.bias) // pieces
    parts = [slice(i * rows, (i + 1) * rows) for i in range(pieces)]
    values = [layer.weight[part] @ x + layer.bias[part] for part in parts]
    y = np.max(np.asarray(values), axis=0)
    return y if activation is None else activation(y)


@pytest.mark.long
@pytest.mark.parametrize("latents", [(3,), (2, 3, 1)])
@pytest.mark.parametrize("activation", ["maxout", "tanh"])
def test_log_joint_is_the_formula(latents, activation, x64):
    """`h_L = z_L`, `h_l = T_l(h_{l+1}) + G_l z_l`, from the top down; Rezende et al. 2014, equations 1-4."""
    hidden = (8, 5)
    model = at_random(build(latents=latents, hidden=hidden, activation=activation, pieces=3), 0.6)
    pieces, function = (3, None) if activation == "maxout" else (1, np.tanh)

    def network(layers, x):
        *inner, last = layers
        for layer in inner:
            x = dense(layer, x, pieces, function)
        return dense(last, x)

    z = np.asarray(jax.random.normal(jax.random.key(1), (sum(latents),)))
    sizes = latents[::-1]
    noises = np.split(z, np.cumsum(sizes)[:-1])
    networks = [network.layers for network in model.decoder.networks]
    mixers = model.decoder.mixers
    assert len(networks) == len(latents)
    assert [mixer.shape for mixer in mixers] == [(size, size) for size in sizes[1:]]
    h = noises[0]
    for layers, mixer, noise in zip(networks[:-1], mixers, noises[1:]):
        h = network(layers, h) + np.asarray(mixer) @ noise
    logits = network(networks[-1], h)
    # The encoder's layers in reverse order.
    assert [layer.bias.size for layer in networks[-1]] == [5 * pieces, 8 * pieces, DIM]
    expected = stats.norm.logpdf(z).sum() + stats.bernoulli(special.expit(logits)).logpmf(X).sum()
    np.testing.assert_allclose(model.decoder.parameters(jnp.asarray(z)), logits, rtol=1e-10)
    np.testing.assert_allclose(model.log_joint(x_of(), jnp.asarray(z)), expected, rtol=1e-10)
    assert model.latents == model.prior.shape[0] == sum(latents)


def test_mixers_start_as_the_identity():
    for mixer in build(latents=(2, 3, 1)).decoder.mixers:
        np.testing.assert_array_equal(mixer, np.eye(len(mixer)))


def test_samples_are_of_the_joint(x64):
    """Moments of `x` and of `x z` under `p(z) p(x | z)`, by 20,000 samples; 5 standard errors over 24 numbers."""
    model = at_random(build(), 0.8)
    x, z = eqx.filter_jit(lambda model: jax.vmap(model.sample)(jax.random.split(jax.random.key(1), 20_000)))(model)
    assert set(np.unique(x)) == {0, 1}
    assert abs(np.mean(z)) < 5 / np.sqrt(z.size)
    means = jax.nn.sigmoid(jax.vmap(model.decoder.parameters)(z))
    for moment in (np.ones((20_000, 1)), z):
        difference = (x - means)[:, :, None] * moment[:, None, :]
        error = np.std(difference, axis=0) / np.sqrt(20_000)
        assert np.all(np.abs(np.mean(difference, axis=0)) < 5 * error)


@pytest.mark.parametrize(
    ("message", "options"),
    [
        (r"the flow has event shape \(2,\), there are 3 latents", {"flow": "planar", "size": 2}),
        ("no network that could see a context", {"flow": "planar", "amortized": "context"}),
        ("at least one stochastic layer", {"latents": ()}),
    ],
)
def test_refused(message, options):
    options = {"latents": (LATENTS,), "hidden": (8,), **options}
    size = options.pop("size", LATENTS)
    flow = make_flow(options.pop("flow"), size) if "flow" in options else None
    with pytest.raises(ValueError, match=message):
        DLGM.init(jax.random.key(0), DIM, flow=flow, **options)


def test_any_encoder_will_do():
    """`Posterior.init` with a network that is none of ours."""
    posterior = Posterior.init(jax.random.key(0), lambda x: x[:2] ** 2, 2, LATENTS, make_flow("planar"))
    likelihood = LIKELIHOODS["bernoulli"](2)
    decoder = Decoder((Sequential((Dense.init(jax.random.key(1), LATENTS, DIM),)),), (), likelihood)
    model = DLGM(decoder, posterior, LATENTS)
    assert_finite(draw(model, x_of(), jax.random.key(0), 3))


def test_convolutions_give_a_likelihood_its_numbers_in_order(x64):
    """`size` blocks, each an image in the order of the observation."""
    x = np.random.default_rng(0).normal(size=(2, 3, 2, 4))
    expected = [x[row, column, channel, number] for number in range(4) for row, column, channel in np.ndindex(2, 3, 2)]
    by_pixel = jnp.asarray(x.transpose(0, 1, 3, 2).reshape(2, 3, 8))
    np.testing.assert_array_equal(ByParameter(4)(by_pixel), expected)


@pytest.mark.long
def test_gradient_reaches_every_parameter_of_a_convolutional_model():
    likelihood = LIKELIHOODS["logistic"](LEVELS)
    flow = make_flow("planar", 2)
    model = DLGM.convolutional(
        jax.random.key(0), (4, 8, 2), 2, likelihood=likelihood, flow=flow, channels=(2, 3), features=3
    )
    model, x = at_random(model), jnp.arange(64.0) % LEVELS
    assert model.sample(jax.random.key(1))[0].shape == x.shape
    found = eqx.filter_jit(
        eqx.filter_grad(lambda model: jnp.sum(jnp.cos(draw(model, x, jax.random.key(2), 3).log_weights)))
    )(model)
    assert_finite(found)
    for path, leaf in floating_leaves(found):
        assert jnp.any(leaf != 0), f"nothing reaches {path}"
    with pytest.raises(ValueError, match="an image of 4 x 6 pixels cannot be halved 2 times"):
        DLGM.convolutional(jax.random.key(0), (4, 6, 1), 2, channels=(2, 3))


@pytest.mark.long
@pytest.mark.parametrize("activation", ["maxout", "relu", "elu", "silu", "softplus", "tanh"])
def test_activations(activation):
    model = at_random(build(hidden=(8, 4), activation=activation))
    assert model.posterior.encoder.layers[0].weight.shape == (16 if activation == "maxout" else 8, DIM)
    assert model.posterior.encoder(x_of()).shape == (4,)
    assert_finite(draw(model, x_of(), jax.random.key(0), 2))


@pytest.mark.parametrize("pieces", [1, 2, 5])
def test_maxout_is_the_largest_of_its_linear_pieces(pieces, x64):
    layer = randomised(Dense.init(jax.random.key(0), 3, 4, pieces=pieces), jax.random.key(1))
    x = jnp.asarray([0.3, -1.0, 2.0])
    weights, biases = np.reshape(layer.weight, (pieces, 4, 3)), np.reshape(layer.bias, (pieces, 4))
    expected = np.max([weight @ x + bias for weight, bias in zip(weights, biases)], axis=0)
    np.testing.assert_allclose(layer(x), expected, rtol=1e-12)
    relu = Dense(layer.weight, layer.bias, jax.nn.relu, pieces)
    np.testing.assert_allclose(relu(x), np.maximum(expected, 0), rtol=1e-12)


def test_dense_starts_with_glorots_weights():
    """Variance 2 / (fan_in + fan_out); 3 x 100 x 200 weights give it to 3 % (5 sigma)."""
    layer = Dense.init(jax.random.key(0), 200, 100, pieces=3)
    np.testing.assert_allclose(jnp.var(layer.weight), 2 / 300, rtol=0.03)
    np.testing.assert_array_equal(layer.bias, np.zeros(300))
    assert Sequential(())(layer.bias) is layer.bias


LEVELS = 5
NUMBERS = np.random.default_rng(0).normal(size=(2, DIM))


def normal_logpdf(x):
    return stats.norm(NUMBERS[0], np.exp(NUMBERS[1])).logpdf(x)


def logistic_log_masses(x):
    law = stats.logistic(special.expit(NUMBERS[0]), np.exp(NUMBERS[1]))
    high = np.where(x == LEVELS - 1, np.inf, (x + 1) / LEVELS)
    return np.log(law.cdf(high) - law.cdf(np.where(x == 0, -np.inf, x / LEVELS)))


CATEGORICAL = np.random.default_rng(1).normal(size=(DIM, LEVELS))
WHOLE = np.array([0, 1, 2, 3, 4, 2])

# Name, numbers of the decoder, an observation, the log-density of each of its dimensions, the picture.
REFERENCES = {
    "bernoulli": (NUMBERS[0], X, stats.bernoulli(special.expit(NUMBERS[0])).logpmf(X), special.expit(NUMBERS[0])),
    "normal": (NUMBERS.ravel(), NUMBERS[1] ** 2, normal_logpdf(NUMBERS[1] ** 2), NUMBERS[0]),
    "logit-normal": (
        NUMBERS.ravel(),
        special.expit(NUMBERS[1]),
        normal_logpdf(NUMBERS[1]) - np.log(special.expit(NUMBERS[1]) * special.expit(-NUMBERS[1])),
        special.expit(NUMBERS[0]),
    ),
    "categorical": (
        CATEGORICAL.T.ravel(),
        WHOLE,
        special.log_softmax(CATEGORICAL, axis=-1)[np.arange(DIM), WHOLE],
        special.softmax(CATEGORICAL, axis=-1) @ np.linspace(0, 1, LEVELS),
    ),
    "logistic": (NUMBERS.ravel(), WHOLE, logistic_log_masses(WHOLE), special.expit(NUMBERS[0])),
}


def test_every_likelihood_has_a_reference():
    assert REFERENCES.keys() == LIKELIHOODS.keys()


@pytest.mark.long
@pytest.mark.parametrize("name", LIKELIHOODS)
def test_likelihoods(name, x64):
    likelihood = LIKELIHOODS[name](LEVELS)
    numbers, x, log_densities, picture = REFERENCES[name]
    numbers = jnp.asarray(numbers)
    assert likelihood.size * DIM == len(numbers)
    distribution = likelihood(numbers)
    assert distribution.shape == (DIM,)
    np.testing.assert_allclose(distribution.log_prob(x_of(x)), log_densities.sum(), rtol=1e-10)
    np.testing.assert_allclose(likelihood.picture(numbers), picture, rtol=1e-10)
    samples = distribution.sample(jax.random.key(0), (9,))
    assert_finite((samples, distribution.log_prob(samples)))


@pytest.mark.parametrize("name", sorted(set(LIKELIHOODS) - {"normal"}))
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_pictures_of_images_lie_between_black_and_white(name, size):
    likelihood = LIKELIHOODS[name](256)
    numbers = size * jax.random.normal(jax.random.key(0), (DIM * likelihood.size,))
    picture = likelihood.picture(numbers)
    assert picture.shape == (DIM,)
    assert jnp.all((picture >= 0) & (picture <= 1 + 1e-6))
    assert jnp.all(jnp.isfinite(picture))


@pytest.mark.parametrize(
    ("name", "divisor"), [("bernoulli", 1), ("normal", 1), ("categorical", 255), ("logistic", 255)]
)
def test_encoders_see_grey_levels_between_0_and_1(name, divisor):
    likelihood = LIKELIHOODS[name](256)
    model = DLGM.init(jax.random.key(0), DIM, (LATENTS,), likelihood=likelihood, hidden=(8,), pieces=2)
    plain = DLGM.init(jax.random.key(0), DIM, (LATENTS,), hidden=(8,), pieces=2)
    x = 200 * x_of()
    np.testing.assert_allclose(model.posterior.encoder(x), plain.posterior.encoder(x / divisor), rtol=1e-6)


@pytest.mark.parametrize("name", LIKELIHOODS)
def test_a_model_of_each_likelihood(name):
    model = at_random(build(likelihood=LIKELIHOODS[name](LEVELS)))
    x = x_of(REFERENCES[name][1])
    z = jnp.zeros(LATENTS)
    np.testing.assert_allclose(
        model.log_joint(x, z),
        model.prior.log_prob(z) + model.decoder.likelihood(model.decoder.parameters(z)).log_prob(x),
        rtol=1e-5,
    )
    assert model.sample(jax.random.key(0))[0].shape == (DIM,)


@pytest.mark.long
@pytest.mark.parametrize("gradient", ["reparameterised", "doubly-reparameterised"])
def test_eighty_planar_layers_on_large_features_stay_finite(gradient):
    """Networks of weights up to 1,000, which emit every parameter of every layer, in float32."""
    flow = flows.planar(jax.random.key(5), LATENTS, 80).bijection
    start = DLGM.init(jax.random.key(0), DIM, (LATENTS,), flow=flow, hidden=())
    # Without a hidden layer the features are the observation.
    xs = jax.random.bernoulli(jax.random.key(1), 0.5, (4, DIM)).astype(jnp.float32)

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(model):
        keys = jax.random.split(jax.random.key(3), 4)
        return -jnp.mean(jax.vmap(lambda x, key: draw(model, x, key, 2, gradient).log_weights)(xs, keys))

    for scale in (0, 1.0, 100.0, 1000.0):
        network = randomised(start.posterior.flow.network, jax.random.key(2), scale)
        model = eqx.tree_at(lambda model: model.posterior.flow.network, start, network)
        value, gradients = loss(model)
        assert_finite((value, gradients))
        # Large parameters leave every tanh flat; smaller ones do not.
        for path, leaf in floating_leaves(gradients):
            assert scale > 1 or jnp.any(leaf != 0), f"scale {scale}: nothing reaches {path}"
