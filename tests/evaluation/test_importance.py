"""Importance sampling against closed forms: q = N(0, 1), p = N(mu, 1) has log w = mu x - mu^2 / 2 + log Z."""

import numpy as np
import pytest
from scipy import stats

from pushforward.evaluation import importance_estimate, pareto_k, verdict

N = 200_000


def shifted_normal_weights(mu: float, log_z: float, seed: int = 0) -> np.ndarray:
    x = np.random.default_rng(seed).normal(size=N)
    return mu * x - mu**2 / 2 + log_z


@pytest.mark.parametrize(("mu", "log_z"), [(0.1, 0.0), (0.5, 3.0), (1.0, -700.0)])
def test_closed_forms(mu, log_z):
    estimate = importance_estimate(shifted_normal_weights(mu, log_z))
    # Each estimate is within 4.5 standard errors: an error rate below 1e-5.
    assert abs(estimate.free_energy - (mu**2 / 2 - log_z)) < 4.5 * estimate.free_energy_std_error
    assert abs(estimate.log_z - log_z) < 4.5 * estimate.log_z_std_error
    assert estimate.free_energy_std_error == pytest.approx(mu / np.sqrt(N), rel=0.02)
    assert estimate.log_z_std_error == pytest.approx(np.sqrt(np.expm1(mu**2) / N), rel=0.05)
    assert estimate.ess_fraction == pytest.approx(np.exp(-(mu**2)), rel=0.02)


def test_standard_error_of_log_z_covers():
    errors = []
    for seed in range(200):
        estimate = importance_estimate(shifted_normal_weights(0.5, 2.0, seed)[:2000])
        errors.append((estimate.log_z - 2.0) / estimate.log_z_std_error)
    # 95% intervals, 200 repetitions: fewer than 180 or all of them covering has probability below 1e-3.
    assert 180 <= np.sum(np.abs(errors) < 1.96) < 200


def test_equal_weights_are_perfect():
    estimate = importance_estimate(np.full(1000, -5.0))
    assert estimate.ess_fraction == pytest.approx(1)
    assert estimate.log_z == pytest.approx(-5)
    assert estimate.log_z_std_error == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_weights_are_counted(bad):
    weights = np.zeros(1000)
    weights[[3, 5]] = bad
    with pytest.raises(ValueError, match="2 of 1000 log weights"):
        importance_estimate(weights)


def test_zero_weights_leave_log_z_and_make_the_free_energy_infinite():
    weights = np.zeros(1000)
    weights[:500] = -np.inf
    estimate = importance_estimate(weights)
    assert estimate.log_z == pytest.approx(-np.log(2))
    assert estimate.ess_fraction == pytest.approx(0.5)
    assert estimate.free_energy == np.inf
    with pytest.raises(ValueError, match="every importance weight is 0"):
        importance_estimate(np.full(10, -np.inf))


@pytest.mark.parametrize("shape", [-0.3, 0.1, 0.4, 0.7, 1.1])
def test_pareto_k_of_pareto_weights(shape):
    found = [pareto_k(np.log(1 + stats.genpareto.rvs(shape, size=N, random_state=seed, scale=1))) for seed in range(8)]
    # The tail holds about 1,340 weights: the standard error of one fit is (1 + k) / 37, of the mean of 8 below 0.02;
    # adding 1 to a Pareto variable of k > 0 leaves its tail index alone, up to a bias that falls with N.
    assert np.mean(found) == pytest.approx(shape, abs=0.08)


def test_pareto_k_does_not_depend_on_the_scale():
    weights = shifted_normal_weights(1.0, 0.0)
    assert pareto_k(weights) == pytest.approx(pareto_k(weights + 1e4), abs=1e-6)


def test_verdicts_are_in_order():
    words = [verdict(k).split(":")[0] for k in (-np.inf, 0.2, 0.6, 0.9, 1.5, None)]
    assert words == ["good", "good", "usable", "bad", "very bad", "too few distinct weights to judge the tail"]


@pytest.mark.parametrize(
    ("n", "k_hat"),
    [
        (100, 1.2849561025),
        (203, 0.8370596394),
        (225, 1.0102586002),
        (900, 1.1640139637),
        (4003, 1.7327011499),
        (10_000, 1.6219741323),
    ],
)
def test_k_hat_is_that_of_arviz(n, k_hat):
    """By `arviz.psislw` 0.22, which rounds the size of the tail up, as Vehtari et al. do."""
    rng = np.random.default_rng(3)
    sizes = (100, 203, 225, 900, 4003, 10_000)
    weights = {size: 1.5 * rng.standard_t(5, size=size) for size in sizes}
    assert pareto_k(weights[n]) == pytest.approx(k_hat, abs=1e-9)


@pytest.mark.parametrize("weights", [[], [0.5]])
def test_too_few_weights_are_refused(weights):
    with pytest.raises(ValueError, match=f"2 importance weights or more, got {len(weights)}"):
        importance_estimate(np.array(weights))


@pytest.mark.parametrize(("weights", "complaint"), [([], "no importance weights"), ([0.0, np.nan], "1 of 2 .* NaN")])
def test_k_hat_of_no_numbers_is_refused(weights, complaint):
    with pytest.raises(ValueError, match=complaint):
        pareto_k(np.array(weights))


def test_a_light_tail_of_a_distant_flow_is_not_good():
    assert verdict(-0.7, 0.004).startswith("the tail is light, yet less than 1% of the draws count")
    assert verdict(-0.7, 0.4).startswith("good")
