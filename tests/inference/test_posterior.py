"""Posteriors from the ladder to the chains, against closed forms."""

import math
import sys
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special, stats

from pushforward import inference, supports, targets
from pushforward.bijections import TriangularAffine
from pushforward.distributions import Normal, Pushforward
from pushforward.errors import UserError
from pushforward.evaluation import ImportanceEstimate, pareto_k, smoothed_weights
from pushforward.evaluation.ais import log_mean_exp
from pushforward.inference.kernels import ROUND
from pushforward.inference.ladder import Rung, best, judged
from pushforward.inference.posterior import Effort, draw
from pushforward.inference.summary import unrolled

KEY = jax.random.key(0)

pytestmark = pytest.mark.xdist_group("posterior")


@pytest.fixture(autouse=True)
def others_promote_ranks():
    with jax.numpy_rank_promotion("allow"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def banana(p):
    """`x ~ N(0, 1.5^2)`, `y ~ N(x^2 / 2, 0.5^2)`, and a scale that is log-normal."""
    first = -0.5 * (p["x"] / 1.5) ** 2 - math.log(1.5)
    second = -0.5 * ((p["y"] - p["x"] ** 2 / 2) / 0.5) ** 2 - math.log(0.5)
    third = -0.5 * jnp.log(p["s"]) ** 2 - jnp.log(p["s"])
    return first + second + third - 1.5 * math.log(2 * math.pi)


LITTLE = Effort(512, 32, 4), Effort(512, 16, 3)
MOMENTS = {
    "x": (0.0, 1.5),
    "y": (1.125, math.sqrt(0.25 + 1.5**4 / 2)),
    "s": (math.exp(0.5), math.sqrt(math.expm1(1) * math.e)),
}


@pytest.fixture(scope="module")
def posterior():
    with jax.numpy_rank_promotion("allow"):
        target = targets.from_tree(banana, {"x": supports.real(), "y": supports.real(), "s": supports.positive()})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pushforward.inference.ladder.CAPACITIES", ((6, 32, 1.0),))
            patch.setattr("pushforward.inference.posterior.EFFORTS", LITTLE)
            # Of steps and not of seconds: what is found must not depend on the load of the machine.
            patch.setattr("pushforward.inference.ladder.MOST_STEPS", 2500)
            return inference.fit(target, KEY, seconds=3600, quiet=True)


@pytest.fixture(scope="module")
def refined(posterior):
    with jax.numpy_rank_promotion("allow"):
        return posterior.refine(jax.random.key(3), ess=400, seconds=60)


@pytest.mark.slow
def test_flows_find_the_normaliser_and_the_moments(posterior):
    """Each within five of its own standard errors: of seven numbers one in 200,000 runs fails."""
    best = posterior.best
    assert "coupling layers" in best.name
    assert best.usable
    assert abs(best.estimate.log_z) < 5 * best.estimate.log_z_std_error + 1e-3
    summary = posterior.summary()
    for name, (mean, sd) in MOMENTS.items():
        row = summary[name]
        assert abs(row.mean - mean) < 5 * row.mean_error
        assert abs(row.sd - sd) < 5 * row.sd_error + 0.01 * sd
    low = stats.norm(0, 1.5).ppf(0.05)
    assert abs(summary["x"].low - low) < 5 * summary["x"].low_error
    assert "determined worst" in posterior.verdict
    assert "log Z" in repr(posterior)
    assert posterior.weights.sum() == pytest.approx(1)


@pytest.mark.slow
def test_chains_behind_the_flow_agree(refined):
    assert refined.chains.agreed
    assert "the chains agree" in refined.verdict
    for name, (mean, sd) in MOMENTS.items():
        row = refined.summary()[name]
        assert abs(row.mean - mean) < 5 * row.mean_error
        assert abs(row.sd - sd) < 5 * row.sd_error + 0.05 * sd


@pytest.mark.slow
@pytest.mark.parametrize("method", ["imh", "smc"])
def test_other_ways_behind_the_flow_agree(posterior, method):
    """Each within five of its own standard errors, log Z of SMC too, which is 0: one run in 200,000 fails."""
    refined = posterior.refine(jax.random.key(7), method=method, ess=1000, seconds=60)
    assert refined.chains.agreed
    for name, (mean, sd) in MOMENTS.items():
        row = refined.summary()[name]
        assert abs(row.mean - mean) < 5 * row.mean_error
        assert abs(row.sd - sd) < 5 * row.sd_error + 0.05 * sd
    if method == "smc":
        log_z, error = log_mean_exp(jnp.asarray(refined.chains.log_z))
        assert abs(log_z) < 5 * error + 1e-3
        assert f"log Z {log_z:.4f}" in refined.verdict
        again = refined.refine(jax.random.key(8), method="smc", ess=1e6, seconds=1e-3)
        assert len(again.chains.log_z) == 2 * len(refined.chains.log_z)
    else:
        assert not len(refined.chains.log_z)
        anew = refined.refine(jax.random.key(8), method="nuts", ess=1e6, seconds=1e-3)
        assert anew.chains.log_p.shape[1] == ROUND["nuts"]


@pytest.mark.slow
def test_chains_that_are_not_there_yet_say_so_and_go_on(posterior):
    first = posterior.refine(jax.random.key(4), ess=1e6, seconds=1e-3)
    assert not first.chains.agreed
    assert first.verdict.startswith("not yet: ")
    assert first.chains.worst.name in MOMENTS
    second = first.refine(jax.random.key(5), ess=1e6, seconds=1e-3)
    draws = first.chains.log_p.shape[1]
    assert second.chains.log_p.shape[1] == 2 * draws
    np.testing.assert_array_equal(second.chains.coordinates[:, :draws], first.chains.coordinates)
    with pytest.raises(UserError, match="must be positive"):
        posterior.refine(KEY, ess=0)


@pytest.mark.slow
def test_draws_are_named_and_constrained(posterior, refined):
    for each in (posterior, refined):
        draws = each.sample(KEY, 50)
        assert {name: values.shape for name, values in draws.items()} == {"x": (50,), "y": (50,), "s": (50,)}
        assert np.all(draws["s"] > 0)
    assert posterior.sample(KEY, 7, resample="none")["x"].shape == (7,)
    with pytest.raises(ValueError, match="n must be 1 or more"):
        posterior.sample(KEY, 0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="ArviZ 1 is for Python 3.12 and newer")
@pytest.mark.slow
def test_arviz_reads_it(posterior, refined, tmp_path):
    from arviz_stats.base import array_stats
    from xarray import open_datatree

    of_flow, of_chains = posterior.to_arviz(), refined.to_arviz()
    assert dict(of_flow["posterior"].sizes) == {"chain": 1, "draw": 4000}
    assert np.isnan(array_stats.rhat(of_flow["posterior"]["x"].values, chain_axis=0, draw_axis=1))
    assert of_chains["posterior"].sizes["chain"] == 8
    assert of_chains["posterior"].attrs["log_z"] == refined.best.estimate.log_z
    read = open_datatree(refined.save(tmp_path / "posterior.nc"), engine="h5netcdf")
    np.testing.assert_array_equal(read["posterior"]["x"], of_chains["posterior"]["x"])
    with pytest.raises(ValueError, match="a posterior is saved to"):
        refined.save(tmp_path / "posterior.csv")


def test_a_normal_posterior_needs_the_first_rung_only(capsys, monkeypatch):
    """Bayesian linear regression: mean, covariance and log Z have closed forms."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 3)), rng.normal(size=20)

    def log_density(p):
        residuals = y - x @ p["w"]
        return -0.5 * (jnp.sum(p["w"] ** 2) + jnp.sum(residuals**2)) - 11.5 * math.log(2 * math.pi)

    target = targets.from_tree(log_density, {"w": supports.real((3,))})
    monkeypatch.setattr("pushforward.inference.posterior.EFFORTS", LITTLE)
    posterior = inference.fit(target, KEY, seconds=60)
    assert [rung.name for rung in posterior.rungs] == ["Laplace"]
    said = [target.describe(), str(posterior.rungs[0]), posterior.verdict]
    assert capsys.readouterr().out.splitlines() == said
    assert "nothing is missing that a wide start reaches" in posterior.verdict
    covariance = np.linalg.inv(np.eye(3) + x.T @ x)
    mean = covariance @ x.T @ y
    log_z = stats.multivariate_normal(np.zeros(20), np.eye(20) + x @ x.T).logpdf(y)
    assert posterior.best.estimate.log_z == pytest.approx(log_z, abs=1e-6)
    for index in range(3):
        row = posterior.summary()[f"w[{index}]"]
        assert abs(row.mean - mean[index]) < 5 * row.mean_error
        assert row.sd == pytest.approx(math.sqrt(covariance[index, index]), rel=0.03)
    assert "nearly constant" in posterior.verdict
    assert posterior.coordinates.dtype == np.float64
    assert not jax.config.jax_enable_x64


def directed(p):
    """A von Mises angle about 3, which crosses pi, and a real number that follows its cosine.

    So wide that training sees every angle: of a concentration of 4 it misses the far side, and k-hat is luck.
    """
    angle = 2 * jnp.cos(p["angle"] - 3) - math.log(2 * math.pi * float(special.i0(2.0)))
    return angle - 0.5 * ((p["x"] - jnp.cos(p["angle"])) / 0.3) ** 2 - math.log(0.3) - 0.5 * math.log(2 * math.pi)


@pytest.mark.slow
def test_angles_beside_real_numbers():
    """Each within five of its own standard errors, before and after chains: one run in 200,000 fails."""
    target = targets.from_tree(directed, {"angle": supports.circle(), "x": supports.real()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pushforward.inference.ladder.CAPACITIES", ((4, 16, 1.0),))
        patch.setattr("pushforward.inference.posterior.EFFORTS", LITTLE)
        patch.setattr("pushforward.inference.ladder.MOST_STEPS", 4000)
        posterior = inference.fit(target, KEY, seconds=3600, quiet=True)
    best = posterior.best
    assert best.usable
    assert abs(best.estimate.log_z) < 5 * best.estimate.log_z_std_error + 1e-3
    grid = np.linspace(3 - math.pi, 3 + math.pi, 20_001)
    density = np.exp(2 * np.cos(grid - 3))
    density /= density.sum()
    moments = {"angle": (3.0, math.sqrt(density @ (grid - 3) ** 2)), "x": (density @ np.cos(grid), None)}
    moments["x"] = moments["x"][0], math.sqrt(0.09 + density @ np.cos(grid) ** 2 - moments["x"][0] ** 2)
    assert np.abs(posterior.draws["angle"]).max() <= math.pi
    for each in (posterior, posterior.refine(jax.random.key(1), ess=400, seconds=60)):
        for name, (mean, sd) in moments.items():
            row = each.summary()[name]
            assert abs(row.mean - mean) < 5 * row.mean_error
            assert abs(row.sd - sd) < 5 * row.sd_error + 0.01 * sd


def test_angles_are_unrolled_around_their_mean():
    angles = np.array([3.1, -3.1, 3.0, -3.0])
    np.testing.assert_allclose(np.sort(np.mod(unrolled(angles), 2 * np.pi)), np.sort(np.mod(angles, 2 * np.pi)))
    assert np.ptp(unrolled(angles)) < 0.3
    assert np.ptp(unrolled(angles.reshape(2, 2), axes=2)) < 0.3
    assert unrolled(np.array([1.0, -2.5]), np.array([1.0, 0.0])).tolist() == [1.0, -2.5 + 2 * np.pi]


def test_what_lies_behind_a_wall_has_weight_zero():
    """A Normal law of which the part above 2.2 is cut off: 0.9% of the draws of the Normal with its moments."""
    target = targets.from_tree(
        lambda p: jnp.where(p["x"] < 2.2, -0.5 * p["x"] ** 2, -jnp.inf), {"x": supports.real()}, name="walled"
    )
    start = inference.ladder.best_start(target, KEY)
    flow = inference.starts.started(target, start.standard)
    rung = inference.ladder.judged("Normal", target, flow, KEY, 0.0)
    walled = stats.truncnorm(-np.inf, 2.2)
    assert rung.outside == pytest.approx(stats.norm.sf(2.2, walled.mean(), walled.std()), rel=0.15)
    expected = 0.5 * math.log(2 * math.pi) + stats.norm.logcdf(2.2)
    assert rung.estimate.log_z == pytest.approx(expected, abs=0.01)


def test_seconds_and_draws_must_be_positive():
    target = targets.make("banana")
    with pytest.raises(ValueError, match="must be positive"):
        inference.fit(target, KEY, seconds=0)


@pytest.mark.skipif(sys.version_info < (3, 12), reason="ArviZ 1 is for Python 3.12 and newer")
def test_smoothed_weights_are_those_of_arviz():
    from arviz_stats.base import array_stats

    rng = np.random.default_rng(1)
    for scale in (0.5, 1.0, 1.5):
        log_weights = scale * rng.normal(size=4000)
        expected, k_hat = array_stats.psislw(-log_weights)
        assert pareto_k(log_weights) == pytest.approx(k_hat, abs=0.03)
        np.testing.assert_allclose(
            np.sort(smoothed_weights(log_weights)), np.sort(np.exp(expected)), rtol=0.03, atol=1e-6
        )
    np.testing.assert_allclose(smoothed_weights(np.zeros(10)), 0.1)
    assert smoothed_weights(np.array([0.0, -np.inf, 0.0])).tolist() == [0.5, 0.0, 0.5]
    with pytest.raises(ValueError, match="every importance weight is 0"):
        smoothed_weights(np.full(10, -np.inf))


def test_a_posterior_that_lacks_a_mode_is_not_trusted(monkeypatch, x64):
    """Two modes of equal mass, 8 apart; the flow has one of them, and its weights are all the same."""
    target = targets.from_tree(
        lambda p: jnp.logaddexp(-0.5 * jnp.sum(p["x"] ** 2), -0.5 * jnp.sum((p["x"] - 4) ** 2)),
        {"x": supports.real((4,))},
    )
    monkeypatch.setattr("pushforward.inference.starts.WIDER", 6.0)
    monkeypatch.setattr("pushforward.inference.posterior.EFFORTS", (Effort(512, 64, 4), Effort(512, 16, 3)))
    flow = Pushforward(Normal.standard(4, trained=True), TriangularAffine.identity(4))
    rung = judged("N(0, I)", target, flow, KEY, 0.0)
    posterior = inference.Posterior(target, [rung], *draw(target, flow, KEY, 2000))
    assert posterior.trusted
    checked = posterior.checked(jax.random.key(1), seconds=600)
    assert checked.coverage.low < 0.5 < checked.coverage.high
    assert not checked.trusted
    assert "misses a part" in checked.verdict
    assert "do not use these numbers" in checked.verdict
    unchecked = posterior.checked(jax.random.key(1), seconds=1e-9)
    assert unchecked.coverage is None
    assert "its coverage was not checked" in unchecked.verdict


def test_the_rung_of_most_elbo_is_kept_where_its_weights_count():
    """A start of which few draws count has a low k-hat by chance; it does not win over a flow."""

    law = Pushforward(Normal.standard(1), TriangularAffine.identity(1))

    def rung(name, elbo, ess, k_hat):
        found = ImportanceEstimate(-elbo, 0.0, 0.0, 0.0, ess, k_hat)
        return Rung(name, law, elbo, 0.0, found, 0.0, 0.0)

    start, flow, worse = rung("start", -9.0, 0.02, 0.4), rung("flow", -1.0, 0.9, 0.6), rung("worse", -0.8, 0.3, 0.9)
    assert not start.trusted
    assert best([start, flow, worse]) is flow
    assert best([start, worse]) is worse
    assert best([rung("normal", -2.0, 0.4, 0.6), worse]) is worse


def test_a_normal_settles_where_its_free_energy_is_stationary():
    """In 120 dimensions, from N(0, I): means to 0.02 and scales to 2%, of draws of a Normal law that is not far."""
    mean, scale = np.linspace(-0.4, 0.4, 120), np.linspace(0.7, 1.4, 120)
    target = targets.from_callable(lambda z: -0.5 * jnp.sum(((z - mean) / scale) ** 2), 120, name="normal")
    found, spread = inference.moves.settled(target, TriangularAffine.identity(120), KEY)
    np.testing.assert_allclose(found.loc, mean, atol=0.02)
    np.testing.assert_allclose(np.exp(found.log_diagonal), scale, rtol=0.02)
    assert spread < 0.1
    start = inference.ladder.best_start(target, KEY)
    assert start.name == "Laplace, moved"


def test_a_mode_without_curvature_is_no_start():
    """The second derivatives of N(0, I) as NaN: the start comes from chains, and no eigenvalues are asked for."""

    @jax.custom_jvp
    def slope(z):
        return -z

    slope.defjvp(lambda primals, tangents: (slope(*primals), jnp.nan * tangents[0]))

    @jax.custom_jvp
    def log_density(z):
        return -0.5 * z @ z

    log_density.defjvp(lambda primals, tangents: (log_density(*primals), slope(*primals) @ tangents[0]))
    target = targets.Target("jagged", 2, log_density)
    assert inference.starts.laplace(target, KEY) is None
    assert inference.ladder.best_start(target, KEY).name.startswith("warm-up")
