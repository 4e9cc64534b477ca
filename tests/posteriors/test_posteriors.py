"""Posteriors by name: their models are those that the reference draws are of, and what is refused."""

import math
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from pushforward import posteriors
from pushforward.devices import double_precision
from pushforward.errors import UserError
from pushforward.posteriors import LEARNING, POSTERIORDB, POSTERIORS, posteriordb
from pushforward.studies.posteriordb.measures import compared, known_log_z

needs_data = pytest.mark.skipif("PUSHFORWARD_DATA" not in os.environ, reason="PUSHFORWARD_DATA is not set")


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"):
        yield


def test_the_names_are_those_of_posteriordb():
    assert len(POSTERIORDB) == 46
    assert len({named.model for named in POSTERIORDB.values()}) == 38
    assert {"nes1996-nes", "sblri-blr", "earnings-log10earn_height", "gp_pois_regr-gp_regr"} <= set(POSTERIORDB)
    assert list(POSTERIORS) == [*LEARNING, *POSTERIORDB]


def with_noise(name, draws):
    """The reference draws as parameters of our model, whose noise of some posteriors they have in other coordinates."""
    if name == "eight_schools-eight_schools_noncentered":
        draws["theta_trans"] = (draws["theta"] - draws["mu"][:, None]) / draws["tau"][:, None]
    if name == "gp_pois_regr-gp_pois_regr":
        x, rng = posteriordb.read_data("gp_pois_regr")["x"], np.random.default_rng(0)
        squares = np.subtract.outer(x, x) ** 2
        noise = []
        for rho, alpha, f in zip(draws["rho"], draws["alpha"], draws["f"]):
            factor = np.linalg.cholesky(alpha**2 * np.exp(-0.5 * squares / rho**2) + 1e-10 * np.eye(len(x)))
            left, sizes, right = np.linalg.svd(factor)
            # What f does not determine is as before the data, N(0, 1).
            known = np.where(sizes > 1e-3, left.T @ f / sizes, rng.normal(size=len(x)))
            noise.append(right.T @ known)
        draws["f_tilde"] = np.array(noise)
    return draws


@needs_data
@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.long) if named.model.startswith("regressions") else name
        for name, named in POSTERIORDB.items()
    ],
)
def test_a_model_is_that_of_the_reference_draws(name):
    """By parts, `E[dlogp/dw] = 0` and `E[w dlogp/dw] = -1` for each standardised coordinate w.

    Of some 600 numbers over all posteriors, from nearly independent draws, one is beyond 5 standard errors by chance
    with probability 4e-4.
    """
    with double_precision():
        target = posteriors.make(name)
        assert f"D = {target.dim:,}" in POSTERIORS[name].summary
        draws = {key: values.reshape(-1, *values.shape[2:]) for key, values in posteriors.reference_draws(name).items()}
        parameters = {each.name: with_noise(name, draws)[each.name] for each in target.parameters}
        z = np.asarray(jax.jit(jax.vmap(target.model.unconstrain))(parameters))
        gradients = np.asarray(jax.jit(jax.vmap(jax.grad(target.log_density)))(jnp.asarray(z)))
    factor = np.linalg.cholesky(np.cov(z.T))
    standard = np.linalg.solve(factor, (z - z.mean(axis=0)).T).T
    for numbers in (gradients @ factor, 1 + standard * (gradients @ factor)):
        assert np.all(np.abs(numbers.mean(axis=0)) < 5 * numbers.std(axis=0) / math.sqrt(len(z)))


@needs_data
@pytest.mark.long
@pytest.mark.parametrize("name", LEARNING)
def test_posteriors_of_learning_have_the_dimensions_that_are_said(name):
    with double_precision():
        target = posteriors.make(name)
        assert f"D = {target.dim:,}" in POSTERIORS[name].summary
        assert bool(jnp.isfinite(target.log_density(jnp.zeros(target.dim))))


@needs_data
def test_the_cox_process_is_that_of_its_definition():
    """At a draw of the noise, by SciPy and in other words: cells counted one by one."""
    noise = np.random.default_rng(0).normal(size=1600)
    rows = posteriors.load("lgcp")[1]
    counts = np.zeros((40, 40))
    for x, y in zip(rows["data_x"], rows["data_y"]):
        counts[min(int(40 * x), 39), min(int(40 * y), 39)] += 1
    assert counts.sum() == 126
    cells = np.indices((40, 40)).reshape(2, -1).T
    distances = np.linalg.norm(cells[:, None] - cells[None], axis=-1)
    f = math.log(126) - 1.91 / 2 + np.linalg.cholesky(1.91 * np.exp(-distances / (40 / 33))) @ noise
    expected = stats.norm.logpdf(noise).sum() + np.sum(counts.ravel() * f - np.exp(f) / 1600)
    with double_precision():
        assert float(posteriors.make("lgcp").log_density(jnp.asarray(noise))) == pytest.approx(expected, rel=1e-9)


@needs_data
def test_log_z_of_a_regression_is_its_integral():
    """Of log earnings on height: the weights integrated in closed form, the standard deviation on a grid."""
    arguments = posteriors.load("earnings-logearn_height")[1]
    y, features = np.log(arguments["earn"]), np.stack([np.ones(1192), arguments["height"]], axis=-1)
    _, (residual,), *_ = np.linalg.lstsq(features, y)
    sigma = np.linspace(0.5, 1.5, 20_001)
    log_values = -residual / (2 * sigma**2) - (1192 - 2) * np.log(sigma) - (1192 - 2) / 2 * math.log(2 * math.pi)
    log_values -= np.linalg.slogdet(features.T @ features)[1] / 2
    integral = math.log(np.trapezoid(np.exp(log_values - log_values.max()), sigma)) + log_values.max()
    assert known_log_z("earnings-logearn_height") == pytest.approx(integral, abs=1e-8)
    assert known_log_z("arK-arK") is None


def test_errors_are_in_units_of_the_reference():
    rng = np.random.default_rng(0)
    reference = {"a": 2 + 3 * rng.normal(size=10_000), "b": rng.normal(size=(10_000, 2))}
    draws = {"a": 3.5 + 6 * rng.normal(size=20_000), "b": rng.normal(size=(20_000, 2)), "other": np.zeros(20_000)}
    found = compared("name", draws, np.full(20_000, 1 / 20_000), reference)
    assert [each["number"] for each in found] == ["a", "b[0]", "b[1]"]
    assert found[0]["mean"] == pytest.approx(0.5, abs=0.1)
    assert found[0]["sd"] == pytest.approx(2, abs=0.05)
    assert all(abs(each["mean"]) < 0.06 and each["wasserstein"] < 0.06 for each in found[1:])


def test_what_is_refused(monkeypatch, tmp_path):
    with pytest.raises(UserError, match="unknown posterior 'seed'; did you mean 'seeds'"):
        posteriors.make("seed")
    with pytest.raises(UserError, match="no reference draws of seeds"):
        posteriors.reference_draws("seeds")
    monkeypatch.delenv("PUSHFORWARD_DATA", raising=False)
    with pytest.raises(UserError, match=r"sonar\.csv has no public address: set PUSHFORWARD_DATA .* bayesian/sonar"):
        posteriors.make("sonar")
    monkeypatch.setenv("PUSHFORWARD_DATA", str(tmp_path))
    with pytest.raises(UserError, match=r"arK\.json\.zip: No such file"):
        posteriors.make("arK-arK")
