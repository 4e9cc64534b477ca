"""Calibration: right posteriors pass at the stated rate, wrong ones are named."""

import numpy as np
import pytest

from pushforward.evaluation.calibration import DENSITY, DISTANCE, calibration

CASES, DRAWS, DIM = 1000, 200, 3


def simulated(seed, *, cases=CASES, width=1.0, shift=0.0):
    """Truths, and draws of Normal posteriors around data that are the truths and noise; width 1 and shift 0 are right.

    With theta from N(0, 1) and x from N(theta, 1) the posterior is N(x / 2, 1 / 2).
    """
    rng = np.random.default_rng(seed)
    theta = rng.standard_normal((cases, DIM))
    mean = (theta + rng.standard_normal((cases, DIM))) / 2
    sd = width * np.sqrt(0.5)
    draws = mean[:, None] + shift + sd * rng.standard_normal((cases, DRAWS, DIM))
    log_q, log_q_of_truths = (
        -0.5 * (((values - mean.reshape(cases, *[1] * (values.ndim - 2), DIM) - shift) / sd) ** 2).sum(axis=-1)
        for values in (draws, theta)
    )
    return draws, theta, log_q, log_q_of_truths


def judged(seed, **options):
    draws, theta, log_q, log_q_of_truths = simulated(seed, **options)
    names = [f"theta[{index}]" for index in range(DIM)]
    return calibration(draws, theta, names=names, seed=seed, log_q=log_q, log_q_of_truths=log_q_of_truths)


def test_right_posteriors_are_rejected_in_one_of_a_hundred():
    """Of 300 at 1%: more than 9 have a chance of 0.1%."""
    found = [judged(seed, cases=200) for seed in range(300)]
    assert sum(each.rejected for each in found) <= 9
    assert found[0].names == ("theta[0]", "theta[1]", "theta[2]", DENSITY, DISTANCE)


@pytest.mark.parametrize(("width", "word"), [(0.85, "narrow"), (1.2, "wide")])
def test_wrong_widths_are_rejected(width, word):
    """Standard deviations 15% too small or 20% too large, 1,000 simulations: all of ten."""
    for seed in range(10):
        found = judged(seed, width=width)
        assert found.rejected
        assert f"not calibrated: intervals are too {word}" in found.verdict


def test_what_intervals_hold_is_what_they_promise():
    """The 90% interval of a posterior 15% too narrow holds 83.8%; Wilson's interval is two standard errors wide."""
    share, low, high = judged(0, width=0.85).holds("theta[0]", 0.9)
    assert low < 0.838 < high
    assert high - low == pytest.approx(4 * np.sqrt(0.838 * 0.162 / CASES), rel=0.1)
    right, low, high = judged(0).holds(DENSITY, 0.5)
    assert low < 0.5 < high
    assert low < right < high
    assert share < 0.9


def test_a_wrong_place_is_named():
    found = judged(0, shift=np.array([0.0, 0.25, 0.0]))
    assert found.rejected
    assert found.findings[0].name == "theta[1]"
    assert "theta[1] is placed too high" in found.verdict


def test_the_distance_sees_what_no_single_number_does():
    """Posteriors whose numbers are right one by one, and whose correlation is missing."""
    rng = np.random.default_rng(0)
    covariance = np.array([[1.0, 0.95], [0.95, 1.0]])
    theta = rng.multivariate_normal(np.zeros(2), covariance, CASES)
    draws = rng.standard_normal((CASES, DRAWS, 2))
    found = calibration(draws, theta, names=["a", "b"])
    assert found.findings[0].name == DISTANCE
    assert found.rejected


def test_ties_and_few_draws_are_no_evidence():
    """Whole numbers and a single draw: ranks are uniform still."""
    rng = np.random.default_rng(0)
    truths = rng.poisson(2.0, (CASES, 1)).astype(float)
    draws = rng.poisson(2.0, (CASES, 1, 1)).astype(float)
    assert not calibration(draws, truths, names=["count"]).rejected


def test_bad_input():
    draws, truths = np.zeros((10, 5, 1)), np.zeros((10, 1))
    with pytest.raises(ValueError, match="takes 20 cases or more, got 10"):
        calibration(draws, truths, names=["a"])
    with pytest.raises(ValueError, match="finite draws"):
        calibration(np.full((30, 5, 1), np.nan), np.zeros((30, 1)), names=["a"])
