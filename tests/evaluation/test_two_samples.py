"""C2ST: by its definition, and held to scikit-learn's networks."""

import numpy as np
import pytest
from scipy import stats
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neural_network import MLPClassifier

from pushforward.evaluation import c2st

N = 2_000


def normals(shift, seed=0, dim=2):
    first, second = np.random.default_rng(seed).normal(size=(2, N, dim))
    return first, second + shift / np.sqrt(dim)


def test_equal_samples_are_not_told_apart_and_distant_ones_are():
    """Of 4,000 held-out points the share is 0.5 within four standard errors."""
    assert c2st(*normals(0.0)) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(2 * N))
    assert c2st(*normals(12.0)) == 1


def test_it_comes_near_the_best_classifier():
    """Normals a distance d apart are told by Phi(d / 2): within 0.02, the error of the held-out points and training."""
    assert c2st(*normals(1.0)) == pytest.approx(stats.norm.cdf(0.5), abs=0.03)


@pytest.mark.slow
def test_it_is_scikit_learns_network():
    """The mean of three seeds each: their difference has a standard error of about 0.004."""
    first, second = normals(1.0, dim=3)
    mean, sd = first.mean(axis=0), first.std(axis=0, ddof=1)
    points = np.concatenate([(first - mean) / sd, (second - mean) / sd]).astype(np.float32)
    labels = np.repeat([0, 1], N)
    theirs = [
        cross_val_score(
            MLPClassifier((30, 30), max_iter=10_000, random_state=seed),
            points,
            labels,
            cv=KFold(5, shuffle=True, random_state=seed),
        ).mean()
        for seed in range(3)
    ]
    ours = [c2st(first, second, seed=seed) for seed in range(3)]
    assert np.mean(ours) == pytest.approx(np.mean(theirs), abs=0.016)


def test_samples_of_unequal_size_and_units():
    first, second = normals(1.0)
    scaled = c2st(1e6 * first[:500], 1e6 * second)
    assert 0.75 < scaled <= 1


@pytest.mark.parametrize(
    ("reference", "sample", "message"),
    [
        (np.zeros((9, 1)), np.ones((9, 1)), "does not vary"),
        (np.array([[0.0], [np.nan]]), np.ones((9, 1)), "finite numbers"),
        (np.array([[0.0], [1.0]]), np.ones((2, 1)), "4 points cannot be divided into 5 folds"),
    ],
)
def test_what_cannot_be_told_apart_is_refused(reference, sample, message):
    with pytest.raises(ValueError, match=message):
        c2st(reference, sample)
