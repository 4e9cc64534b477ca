"""The Gaussian that a flow is held to."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from pushforward.evaluation.gaussian import gaussian_log_likelihoods

RNG = np.random.default_rng(0)
MIXED = RNG.normal(size=(500, 3)) @ RNG.normal(size=(3, 3))


def test_it_is_the_normal_with_the_mean_and_covariance_of_the_rows():
    law = multivariate_normal(MIXED.mean(axis=0), np.cov(MIXED.T))
    np.testing.assert_allclose(gaussian_log_likelihoods(MIXED, MIXED[:9]), law.logpdf(MIXED[:9]), rtol=1e-10)


def test_one_column_and_one_row():
    law = multivariate_normal(MIXED[:, 0].mean(), MIXED[:, 0].var(ddof=1))
    found = gaussian_log_likelihoods(MIXED[:, :1], MIXED[:1, :1])
    np.testing.assert_allclose(found, [law.logpdf(MIXED[0, 0])], rtol=1e-10)


@pytest.mark.parametrize("unit", [1e-24, 1e30])
def test_a_unit_shifts_it_by_its_logarithm(unit):
    shifted = gaussian_log_likelihoods(MIXED * unit, MIXED[:5] * unit)
    np.testing.assert_allclose(shifted, gaussian_log_likelihoods(MIXED, MIXED[:5]) - 3 * np.log(unit), rtol=1e-10)


@pytest.mark.parametrize(
    "rows", [MIXED[:, [0, 1, 1]], MIXED[:3], MIXED[:1], np.column_stack([MIXED, np.ones(len(MIXED))])]
)
def test_there_is_none_where_the_covariance_is_singular(rows):
    assert gaussian_log_likelihoods(rows, rows) is None
