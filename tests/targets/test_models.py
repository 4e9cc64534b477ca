"""Targets that are models: what they know of their parameters, that their densities are right, and what is refused."""

import json
import math
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
import pytest

from pushforward import inference, supports, targets
from pushforward.devices import double_precision
from pushforward.errors import UserError
from pushforward.targets.sources import read_data

KEY = jax.random.key(0)
Y = np.array([28.1, 8, -3, 7, -1, 1, 18, 12])
SIGMA = np.array([15.1, 10, 16, 11, 9, 11, 10, 18])


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def schools(y, sigma):
    mu = numpyro.sample("mu", dist.Normal(0, 5))
    tau = numpyro.sample("tau", dist.HalfNormal(5))
    with numpyro.plate("schools", len(y)):
        theta = numpyro.sample("theta", dist.Normal(mu, tau))
        numpyro.sample("y", dist.Normal(theta, sigma), obs=y)
    numpyro.deterministic("effect", theta - mu)


def normal(x, loc, scale):
    return jnp.sum(-0.5 * ((x - loc) / scale) ** 2 - jnp.log(scale) - 0.5 * math.log(2 * math.pi))


def schools_density(p):
    prior = normal(p["mu"], 0.0, 5.0) + normal(p["tau"], 0.0, 5.0) + math.log(2)
    return prior + normal(p["theta"], p["mu"], p["tau"]) + normal(p["theta"], Y, SIGMA)


SCHOOLS_SUPPORTS = {"mu": supports.real(), "tau": supports.positive(), "theta": supports.real((8,))}


def test_a_numpyro_model_is_the_density_of_its_arrays(x64):
    of_model = targets.from_numpyro(schools, Y, sigma=SIGMA)
    of_tree = targets.from_tree(schools_density, SCHOOLS_SUPPORTS)
    z = jax.random.normal(KEY, (5, 10))
    np.testing.assert_allclose(of_model.log_densities(z), of_tree.log_densities(z), rtol=1e-10)
    assert of_model.describe() == "NumPyro model, 10 unconstrained parameters: mu, tau > 0, theta (8)"
    assert of_tree.describe() == "density of named arrays, 10 unconstrained parameters: mu, tau > 0, theta (8)"
    parameters = of_model.constrain(z)
    assert {name: value.shape for name, value in parameters.items()} == {
        "mu": (5,),
        "tau": (5,),
        "theta": (5, 8),
        "effect": (5, 8),
    }
    np.testing.assert_allclose(of_model.unconstrain(parameters), z, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(of_tree.unconstrain(parameters), z, rtol=1e-10, atol=1e-12)


def test_predictions_and_likelihoods_of_a_model(x64):
    target = targets.from_numpyro(schools, Y, SIGMA)
    values = {name: value[0] for name, value in target.constrain(jnp.zeros((1, 10))).items()}
    predicted = jax.vmap(lambda key: target.model.predict(key, values)["y"])(jax.random.split(KEY, 2000))
    np.testing.assert_allclose(predicted.mean(axis=0), 0, atol=5 * SIGMA.max() / math.sqrt(2000))
    np.testing.assert_allclose(predicted.std(axis=0), SIGMA, rtol=0.1)
    expected = -0.5 * (Y / SIGMA) ** 2 - np.log(SIGMA) - 0.5 * math.log(2 * math.pi)
    np.testing.assert_allclose(target.model.log_likelihood(values)["y"], expected, rtol=1e-5)
    assert set(target.model.prior(KEY)) == {"mu", "tau", "theta", "y"}
    np.testing.assert_array_equal(target.model.observed["y"], Y)


def test_supports_that_depend_on_parameters_and_angles(x64):
    def model():
        high = numpyro.sample("high", dist.Uniform(0, 5))
        numpyro.sample("low", dist.Uniform(0, high))
        numpyro.sample("angle", dist.VonMises(3.0, 2.0))
        numpyro.sample("share", dist.Dirichlet(jnp.ones(3)))
        numpyro.sample("factor", dist.LKJCholesky(3, 1.0))

    target = targets.from_numpyro(model)
    z = jax.random.normal(KEY, (4, target.dim))
    parameters = target.constrain(z)
    assert jnp.all(parameters["low"] < parameters["high"])
    np.testing.assert_allclose(target.unconstrain(parameters), z, rtol=1e-8, atol=1e-8)
    (angle,) = target.model.angles
    turned = z.at[:, angle].add(2 * jnp.pi)
    np.testing.assert_allclose(target.log_densities(turned), target.log_densities(z), rtol=1e-9)
    words = {parameter.name: parameter.words for parameter in target.parameters}
    assert words["angle"] == "an angle"
    assert words["low"] == "between bounds"
    assert words["high"] == "in (0, 5)"


def discrete():
    numpyro.sample("k", dist.Bernoulli(0.5))
    numpyro.sample("x", dist.Normal())


def subsampled(y):
    mu = numpyro.sample("mu", dist.Normal())
    with numpyro.plate("rows", len(y), subsample_size=2) as index:
        numpyro.sample("y", dist.Normal(mu, 1), obs=y[index])


def impossible():
    numpyro.sample("mu", dist.Normal())
    numpyro.factor("f", -jnp.inf)


def undefined():
    x = numpyro.sample("x", dist.Normal())
    numpyro.factor("f", jnp.log(-1 - x**2))


@pytest.mark.parametrize(
    ("model", "arguments", "message"),
    [
        (discrete, (), "discrete latent site 'k'"),
        (lambda: None, (), "no latent site"),
        (schools, (Y,), "missing a required argument: 'sigma'"),
        (schools, (Y, SIGMA[:3]), "cannot be run with these data: Incompatible shapes"),
        (subsampled, (Y,), "subsamples its data in the plate 'rows'"),
        (impossible, (), "is -inf at z = .* at every one of 256 draws"),
        (undefined, (), "is nan at z = .* at every one of 256 draws"),
    ],
)
def test_refused_models(model, arguments, message):
    with pytest.raises(UserError, match=message):
        targets.from_numpyro(model, *arguments)


def test_trees_of_supports():
    target = targets.from_tree(
        lambda p: -jnp.sum(p["a"]["b"] ** 2) - p["t"] - jnp.sum(p["s"] ** 2) + jnp.cos(p["w"]),
        {
            "a": {"b": supports.real((2,))},
            "t": supports.positive(),
            "s": supports.simplex((3,)),
            "w": supports.circle(),
        },
    )
    assert [parameter.name for parameter in target.parameters] == ["a.b", "s", "t", "w"]
    assert target.dim == 6
    assert target.model.angles == (5,)
    with pytest.raises(ValueError, match="w is missing"):
        target.unconstrain({"a.b": np.zeros(2), "s": np.ones(3) / 3, "t": 1.0})
    with pytest.raises(ValueError, match="s must be on the simplex"):
        target.unconstrain({"a.b": np.zeros(2), "s": np.ones(3), "t": 1.0, "w": 0.0})
    with pytest.raises(UserError, match="the support of x must be one of"):
        targets.from_tree(lambda p: p["x"], {"x": 3})
    with pytest.raises(UserError, match="at least one parameter"):
        targets.from_tree(lambda p: 0.0, {})


def test_angles_that_are_cut_open_have_the_mass_of_one_turn(x64):
    def log_density(p):
        return 2 * jnp.cos(p["direction"] - 1) - 0.5 * p["x"] ** 2

    target = targets.from_tree(log_density, {"direction": supports.circle(), "x": supports.real()})
    opened = targets.cut_open(target)
    places = jnp.linspace(-40, 40, 20_001)
    grid = jnp.stack([places, jnp.zeros_like(places)], axis=-1)
    mass = jnp.sum(jnp.exp(opened.log_densities(grid))) * (places[1] - places[0])
    np.testing.assert_allclose(mass, 2 * jnp.pi * jax.scipy.special.i0(2.0), rtol=1e-6)
    z = jax.random.normal(KEY, (4, 2))
    np.testing.assert_allclose(opened.unconstrain(opened.constrain(z)), z, rtol=1e-9)
    assert jnp.all(jnp.abs(opened.constrain(z)["direction"]) < jnp.pi)
    assert targets.cut_open(opened) is opened


def test_callbacks_are_called_with_batches(x64):
    sizes = []

    def value_and_gradient(z):
        sizes.append(len(z))
        return -0.5 * (z**2).sum(axis=1), -z

    target = targets.from_callback(value_and_gradient, 3)
    z = jax.random.normal(KEY, (7, 3))
    sizes.clear()
    np.testing.assert_allclose(jax.jit(target.log_densities)(z), -0.5 * jnp.sum(z**2, axis=1), rtol=1e-12)
    _, gradients = jax.jit(jax.vmap(jax.value_and_grad(target.log_density)))(z)
    np.testing.assert_allclose(gradients, -z, rtol=1e-12)
    assert sizes == [7, 7]


def test_callbacks_see_double_precision_where_a_fit_has_it():
    seen = []

    def value_and_gradient(z):
        seen.append(z.copy())
        return -0.5 * (z**2).sum(axis=1), -z

    target = targets.from_callback(value_and_gradient, 1)
    with double_precision():
        value = jax.jit(target.log_density)(jnp.array([0.1]))
    assert seen[-1].tolist() == [[0.1]]
    assert float(value) == pytest.approx(-0.005, rel=1e-14)
    assert not jax.config.jax_enable_x64


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda z: (np.zeros(len(z)), np.zeros((len(z), 2))), r"gradients of the shape \(3, 3\), got \(3, 2\)"),
        (lambda z: (np.zeros((len(z), 1)), z), r"3 values for 3 points, got the shape \(3, 1\)"),
        (lambda z: {}["no"], "failed on points of shape .*KeyError"),
    ],
)
def test_callbacks_that_do_not_fit(function, message):
    with pytest.raises(UserError, match=message):
        targets.from_callback(function, 3, name="mine")


@pytest.mark.slow
@pytest.mark.skipif(sys.version_info < (3, 12), reason="PyMC 6 needs Python 3.12")
def test_a_pymc_model_is_the_density_of_its_arrays():
    import pymc as pm

    assert not jax.config.jax_enable_x64
    with pm.Model() as model:
        mu = pm.Normal("mu", 0, 5)
        tau = pm.HalfNormal("tau", 5)
        theta = pm.Normal("theta", mu, tau, shape=8)
        pm.Deterministic("effect", theta - mu)
        # Neither is a number of single precision.
        pm.Normal("y", theta, SIGMA, observed=Y)
    target = targets.from_pymc(model, name="schools")
    assert not jax.config.jax_enable_x64
    assert target.describe() == "PyMC model, 10 unconstrained parameters: mu, tau > 0, theta (8)"
    with jax.enable_x64(True):
        z = jax.random.normal(KEY, (4, 10))
        of_tree = targets.from_tree(schools_density, SCHOOLS_SUPPORTS)
        np.testing.assert_allclose(target.log_densities(z), of_tree.log_densities(z), rtol=1e-8)
        parameters = target.constrain(z)
        assert parameters["effect"].shape == (4, 8)
        np.testing.assert_allclose(parameters["tau"], jnp.exp(z[:, 1]), rtol=1e-8)
        np.testing.assert_allclose(target.unconstrain(parameters), z, rtol=1e-8, atol=1e-8)
        one = {name: value[0] for name, value in parameters.items()}
        expected = -0.5 * ((Y - one["theta"]) / SIGMA) ** 2 - np.log(SIGMA) - 0.5 * math.log(2 * math.pi)
        np.testing.assert_allclose(target.model.log_likelihood(one)["y"], expected, rtol=1e-12)
    with pm.Model() as mixed:
        pm.Bernoulli("k", 0.5)
    with pytest.raises(UserError, match="discrete latent variable 'k'"):
        targets.from_pymc(mixed)
    with pytest.raises(UserError, match="no latent variable"):
        targets.from_pymc(pm.Model())


SOURCE = """
import jax.numpy as jnp
import numpyro
import numpyro.distributions as dist
from pushforward.targets import from_callable

def model(y):
    mu = numpyro.sample("mu", dist.Normal(0, 1))
    numpyro.sample("y", dist.Normal(mu, 1), obs=y)

def point(z):
    return -jnp.sum(z**2)

def plain():
    return 0.0

def raises():
    raise ValueError("wrong shape")

ready = from_callable(point, 2)
number = 3
"""


def vague(seeds, germinated):
    """A prior whose draws are out of range."""
    tau = numpyro.sample("tau", dist.Gamma(0.01, 0.01))
    effects = numpyro.sample("effects", dist.Normal(0, tau**-0.5).expand([2]))
    numpyro.sample("germinated", dist.Binomial(seeds, logits=effects), obs=germinated)


def test_draws_of_the_prior_may_be_out_of_range():
    target = targets.from_numpyro(vague, np.array([10, 20]), np.array([3, 4]))
    assert target.dim == 3
    assert target.model.predict is not None
    with pytest.warns(UserWarning, match="vague cannot simulate observations: Indexer must have integer"):
        target = targets.from_numpyro(vague, np.array([10.0, 20.0]), np.array([3, 4]))
    assert target.model.predict is None
    assert target.model.log_likelihood is not None


def test_columns_of_tables(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("count,x,y\n1,0.5,2\n3,-1,\n")
    data = read_data(path)
    assert data["count"].dtype.kind == "i"
    np.testing.assert_array_equal(data["count"], [1, 3])
    np.testing.assert_array_equal(data["x"], [0.5, -1])
    np.testing.assert_array_equal(data["y"], [2, np.nan])


def test_a_host_function_that_fails_later_is_told_in_a_line(capfd):
    def fails(z):
        if len(fails.sizes) > 1:
            raise RuntimeError("the licence server went away\nfor good")
        fails.sizes.append(len(z))
        return -0.5 * (z**2).sum(axis=1), -z

    fails.sizes = []
    target = targets.from_callback(fails, 3, name="mine")
    for seconds in (1, 1):
        with pytest.raises(UserError) as caught:
            inference.fit(target, KEY, seconds=seconds, quiet=True)
        assert str(caught.value) == "mine failed: RuntimeError: the licence server went away"
    assert capfd.readouterr().err == ""


def test_models_targets_and_functions_in_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "data.json").write_text(json.dumps({"y": [1.0, 2.0]}))
    (tmp_path / "data.csv").write_text("y\n1.0\n2.0\n")
    np.savez(tmp_path / "data.npz", y=[1.0, 2.0])
    for data in ("data.json", "data.csv", "data.npz"):
        assert targets.from_source("mine.py:model", data=data).dim == 1
    assert targets.from_source("mine:model", data="data.json").dim == 1
    assert targets.from_source("mine.py:point", dim=3).dim == 3
    assert targets.from_source("mine.py:ready").dim == 2
    (tmp_path / "extra.json").write_text(json.dumps({"y": [1.0], "x": 2}))
    (tmp_path / "list.json").write_text("[1]")
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "broken.py").write_text("def")
    for arguments, message in [
        (("mine.py:none",), "has no 'none'"),
        (("nothere.py:model",), "nothere.py is not there"),
        (("nothere:model",), "cannot import 'nothere'"),
        (("broken.py:model",), "cannot import 'broken.py'"),
        (("mine.py:number",), "is a int, no model"),
        (("mine.py:point",), "missing a required argument: 'z'; a model gets its arguments from --data"),
        (
            ("mine.py:model", None, "extra.json"),
            "unexpected keyword argument 'x'",
        ),
        (("mine.py:model",), "missing a required argument: 'y'"),
        (("mine.py:plain",), "runs no numpyro.sample"),
        (("mine.py:raises",), "cannot be run with these data: wrong shape"),
        (("mine.py:model", None, "list.json"), "must hold an object"),
        (("mine.py:model", None, "broken.json"), "cannot be read"),
        (("mine.py:model", None, "none.json"), "none.json is not there"),
        (("mine.py:model", None, "mine.py"), "is a .json, .npz or .csv file"),
        (("mine.py:ready", 2), "takes neither --dim nor --data"),
        (("mine.py:point", 2, "data.json"), "--data is for models"),
    ]:
        with pytest.raises(UserError, match=message):
            targets.from_source(*arguments)
