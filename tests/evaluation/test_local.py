"""The local two-sample test: it sees what is wrong where it is asked, and no more often than it says otherwise."""

import numpy as np
import pytest
from scipy import stats

from pushforward.evaluation import LocalC2ST, local_c2st


def normal_posteriors(seed, cases=200, draws=100, dim=1, scale=1.0):
    """Posteriors N(x, 1) of parameters, whose standard deviation is `scale` where x is above 0; and draws given one."""
    rng = np.random.default_rng(seed)
    x = 1.4 * rng.normal(size=(cases, dim))
    truths = x + rng.normal(size=(cases, dim))
    sds = np.where(x[:, :1] > 0, scale, 1.0)

    def given(place):
        return place + (scale if place > 0 else 1.0) * rng.normal(size=(500, dim))

    return x[:, None] + sds[:, None] * rng.normal(size=(cases, draws, dim)), truths, given


def test_p_values_of_right_posteriors_are_uniform():
    """Kolmogorov and Smirnov's test of 40: rejects one right implementation in 1,000."""
    values = []
    for seed in range(40):
        draws, truths, given = normal_posteriors(seed)
        values.append(local_c2st(draws, truths, given(0.5), nulls=39, seed=seed).p_value)
    assert stats.kstest(values, "uniform").pvalue > 1e-3


def test_what_is_wrong_is_seen_where_it_is():
    """Too narrow by a third for x above 0, with 600 cases: rejected there in five of five, elsewhere in none."""
    for seed in range(5):
        draws, truths, given = normal_posteriors(seed, cases=600, draws=200, dim=2, scale=0.67)
        found = local_c2st(draws, truths, given(1.5))
        assert found.rejected
        assert found.verdict.startswith("the posterior of this observation is not right")
        elsewhere = local_c2st(draws, truths, given(-1.5))
        assert not elsewhere.rejected
        assert elsewhere.verdict.startswith("no classifier tells")


def test_units_and_correlations_do_not_matter():
    draws, truths, given = normal_posteriors(0, dim=2)
    here, change = given(0.5), np.array([[1e3, 0.0], [3.0, 1e-2]])
    first = local_c2st(draws, truths, here, nulls=19)
    second = local_c2st(draws @ change + 5, truths @ change + 5, here @ change + 5, nulls=19)
    np.testing.assert_allclose(second.p_value, first.p_value, atol=0.15)
    assert local_c2st(draws, truths, here, nulls=19).statistic == first.statistic


def test_a_number_that_does_not_vary_is_no_division_by_zero():
    draws, truths, given = normal_posteriors(0, dim=2)
    here = given(0.5)
    for each in (draws, truths, here):
        each[..., 1] = 3.0
    assert np.isfinite(local_c2st(draws, truths, here, nulls=5).statistic)


def test_p_values_count_the_statistic_itself():
    assert LocalC2ST(1.0, np.array([0.0, 2.0, 1.0]), 100).p_value == 3 / 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"draws": np.zeros((99, 50, 1)), "truths": np.zeros((99, 1))}, "100 cases of 20 draws or more, got 99 of 50"),
        ({"draws": np.zeros((200, 19, 1))}, "got 200 of 19"),
        ({"nulls": 101}, "1 to 100 nulls of 100 draws, got 101"),
        ({"nulls": 0}, "got 0"),
        ({"at": np.full((10, 1), np.nan), "nulls": 9}, "finite draws and truths"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, message):
    draws, truths, given = normal_posteriors(0)
    with pytest.raises(ValueError, match=message):
        local_c2st(**{"draws": draws, "truths": truths, "at": given(0.5), **change})
