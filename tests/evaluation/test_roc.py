"""ROC curves and the areas under them, against brute force, the bootstrap and the truth."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import logit

from pushforward.errors import UserError
from pushforward.evaluation import auroc, roc_curve

SCORES = {
    "apart": ([0.0, 1.0, 2.0], [3.0, 4.0]),
    "the wrong way round": ([3.0, 4.0, 5.0], [0.0, 2.0]),
    "mixed": ([0.3, -1.0, 2.0, 0.7], [0.5, 3.0, -2.0]),
    "tied": ([0.0, 0.0, 1.0, 2.0], [0.0, 1.0, 1.0]),
    "all equal": ([1.0, 1.0], [1.0, 1.0, 1.0]),
    "infinite": ([-np.inf, 0.0, np.inf], [np.inf, np.inf, 1.0]),
}


@pytest.mark.parametrize("name", SCORES)
def test_area_by_brute_force(name):
    inliers, outliers = map(np.array, SCORES[name])
    pairs = (outliers[:, None] > inliers) + 0.5 * (outliers[:, None] == inliers)
    area = auroc(inliers, outliers)
    assert area.value == pytest.approx(pairs.mean())
    assert 0 <= area.low <= area.value <= area.high <= 1
    curve = roc_curve(inliers, outliers)
    assert np.trapezoid(curve.true_positives, curve.false_positives) == pytest.approx(pairs.mean())


def test_curve_by_brute_force():
    rng = np.random.default_rng(0)
    inliers, outliers = np.round(rng.normal(0, 1, 40), 1), np.round(rng.normal(1, 2, 30), 1)
    curve = roc_curve(inliers, outliers)
    assert (curve.false_positives[0], curve.true_positives[0]) == (0, 0)
    assert (curve.false_positives[-1], curve.true_positives[-1]) == (1, 1)
    thresholds = np.unique([*inliers, *outliers])[::-1]
    np.testing.assert_allclose(curve.false_positives[1:], [(inliers >= t).mean() for t in thresholds])
    np.testing.assert_allclose(curve.true_positives[1:], [(outliers >= t).mean() for t in thresholds])


def test_variance_by_definition():
    """The covariances of DeLong et al. from the matrix of all pairs."""
    rng = np.random.default_rng(1)
    inliers, outliers = rng.normal(0, 1, 25), rng.normal(0.8, 1, 40)
    pairs = (outliers[:, None] > inliers).astype(float)
    variance = pairs.mean(axis=1).var(ddof=1) / 40 + pairs.mean(axis=0).var(ddof=1) / 25
    area = auroc(inliers, outliers)
    half_width = 1.959964 * np.sqrt(variance) / (area.value * (1 - area.value))
    assert logit([area.low, area.high]) == pytest.approx(logit(area.value) + np.array([-1, 1]) * half_width)


def test_interval_agrees_with_the_bootstrap():
    """Quantiles of 2,000 replicates have a standard error of about 4% of the half width at each end."""
    rng = np.random.default_rng(2)
    inliers, outliers = rng.normal(0, 1, 300), rng.normal(1, 1.5, 200)
    drawn = [auroc(rng.choice(inliers, 300), rng.choice(outliers, 200)).value for _ in range(2000)]
    area = auroc(inliers, outliers)
    tolerance = 0.15 * (area.high - area.low)
    assert [area.low, area.high] == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=tolerance)


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.5])
def test_interval_covers(shift):
    """Of 400 intervals at 95%, fewer than 364 or more than 394 cover with a probability below 1e-3 each."""
    rng, truth = np.random.default_rng(3), stats.norm.cdf(shift / np.sqrt(2))
    areas = [auroc(rng.normal(0, 1, 60), rng.normal(shift, 1, 80)) for _ in range(400)]
    assert 364 <= sum(area.low <= truth <= area.high for area in areas) <= 394


@pytest.mark.parametrize(("n", "low"), [(2, 0.025 ** (1 / 2)), (50, 0.025 ** (1 / 50))])
def test_scores_apart_leave_doubt(n, low):
    apart = auroc(np.zeros(n), np.ones(n + 3))
    assert (apart.value, apart.low, apart.high) == pytest.approx((1, low, 1))
    turned = auroc(np.ones(n), np.zeros(n + 3))
    assert (turned.value, turned.low, turned.high) == pytest.approx((0, 0, 1 - low))


@pytest.mark.parametrize(
    ("inliers", "outliers", "level", "message"),
    [
        ([], [1.0, 2.0], 0.95, "no inliers"),
        ([1.0, 2.0], [], 0.95, "no outliers"),
        ([1.0, 2.0], [1.0], 0.95, "got 2 and 1"),
        ([1.0, np.nan, np.nan], [1.0, 2.0], 0.95, "2 of 3 scores of inliers are NaN"),
        ([1.0, 2.0], [1.0, 2.0], 1.0, "between 0 and 1"),
    ],
)
def test_refusals(inliers, outliers, level, message):
    with pytest.raises(UserError, match=message):
        auroc(inliers, outliers, level)
