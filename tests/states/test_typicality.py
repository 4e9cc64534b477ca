"""The typical-set test, against laws that are known."""

import numpy as np
import pytest
from scipy import stats

from pushforward.errors import UserError
from pushforward.states import DensityOfStates, TypicalSet, from_log_densities
from pushforward.states.laws import GammaLaw

DIM = 100


def normal_log_densities(rng, size, dim=DIM, scale=1.0):
    """log N(x; 0, I) at draws from N(0, scale^2 I)."""
    return -0.5 * (scale**2 * rng.chisquare(dim, size) + dim * np.log(2 * np.pi))


def normal_states(dim=DIM):
    return DensityOfStates.smooth(GammaLaw(-dim / 2 * np.log(2 * np.pi), dim / 2))


@pytest.mark.parametrize("group_size", [1, 2, 10])
def test_p_values_of_the_law_itself_are_uniform(group_size):
    """By the Kolmogorov-Smirnov test, whose p-value is below 1e-4 once in 10,000 such tests."""
    log_densities = normal_log_densities(np.random.default_rng(0), 2000 * group_size)
    p_values = TypicalSet(normal_states(), group_size).p_values(log_densities)
    assert p_values.shape == (2000,)
    assert stats.kstest(p_values, "uniform").pvalue > 1e-4


@pytest.mark.parametrize("group_size", [1, 3])
def test_a_sample_of_the_law_does_as_well(group_size):
    """Rejections at level 0.05 of 4,000 groups, by a test made of 20,000 draws.

    Their number has the standard deviation 14, and that of the test's own error as much at most: 5 of both.
    """
    rng = np.random.default_rng(1)
    typical = TypicalSet(from_log_densities(normal_log_densities(rng, 20_000)), group_size)
    rejected = np.sum(typical.p_values(normal_log_densities(rng, 4000 * group_size)) <= 0.05)
    assert abs(rejected - 200) < 5 * 20


def test_a_small_sample_rejects_no_more_than_it_may():
    """Fresh samples of 19 and one more draw: p <= 0.1 in 10% at most, of 5,000 within 5 standard errors."""
    rng = np.random.default_rng(2)
    p_values = [
        TypicalSet(from_log_densities(draws[:-1])).p_values(draws[-1:])[0] for draws in rng.normal(size=(5000, 20))
    ]
    assert min(p_values) == pytest.approx(2 / 20)
    assert np.mean(np.array(p_values) <= 0.1) == pytest.approx(0.1, abs=5 * np.sqrt(0.1 * 0.9 / 5000))


def test_the_mode_is_not_typical():
    mode = -DIM / 2 * np.log(2 * np.pi)
    typical = TypicalSet(normal_states())
    (p_value,) = typical.p_values([mode])
    assert p_value < 1e-30
    assert typical.distances([mode]) == pytest.approx([DIM / 2])


def test_groups_are_judged_where_one_draw_cannot_be():
    """Draws of N(0, 0.95^2 I) hardly stand out alone; 40 of them do."""
    rng = np.random.default_rng(3)
    log_densities = normal_log_densities(rng, 2000, scale=0.95)
    alone, together = (np.mean(TypicalSet(normal_states(), m).p_values(log_densities) <= 0.05) for m in (1, 40))
    assert alone < 0.2
    assert together > 0.9


def test_distances_are_those_of_group_means():
    law = from_log_densities([-3.0, -1.0, -2.5, -1.5])
    np.testing.assert_allclose(TypicalSet(law, 2).distances([-1.0, -4.0, -2.0, -2.0, 0.0, 0.0]), [0.5, 0.0, 2.0])


@pytest.mark.parametrize("group_size", [1, 4])
def test_an_atom_is_typical_and_nothing_else(group_size):
    typical = TypicalSet(DensityOfStates.atom(-2.0), group_size)
    log_densities = np.repeat([-2.0, -2.5, -1.0], group_size)
    np.testing.assert_array_equal(typical.p_values(log_densities), [1, 0, 0])


def test_atoms_beside_a_continuous_part():
    typical = TypicalSet(DensityOfStates(np.array([-1.0]), np.array([0.5]), GammaLaw(-1.0, 1.0)))
    # P(Y <= -1) is 1 and P(Y >= -1) the mass of the atom; below it P(Y <= -1 - t) = exp(-t) / 2.
    np.testing.assert_allclose(typical.p_values([-1.0, -2.0, -0.9]), [1, np.exp(-1), 0])


@pytest.mark.parametrize("group_size", [1, 2])
def test_density_zero_is_not_typical(group_size):
    typical = TypicalSet(normal_states(), group_size)
    assert typical.p_values([-np.inf] * group_size) == pytest.approx([0])
    assert typical.distances([-np.inf] * group_size) == pytest.approx([np.inf])


def test_refusals():
    law = normal_states()
    with pytest.raises(UserError, match="at least 1"):
        TypicalSet(law, 0)
    with pytest.raises(UserError, match="3 log-densities cannot be divided into groups of 2"):
        TypicalSet(law, 2).p_values([1.0, 2.0, 3.0])
    with pytest.raises(UserError, match="1 of 2 log-densities are NaN"):
        TypicalSet(law).distances([np.nan, 1.0])
    with pytest.raises(UserError, match=r"50\.000% of what is to be typical"):
        TypicalSet(from_log_densities([-np.inf, 0.0]))
