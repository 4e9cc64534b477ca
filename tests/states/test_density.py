"""The law of log-densities: atoms and a continuous part that live together, exact and empirical."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pushforward.errors import UserError
from pushforward.states import DensityOfStates, from_log_densities
from pushforward.states.laws import GammaLaw

MIXED = DensityOfStates(np.array([-3.0, -1.5]), np.array([0.2, 0.3]), GammaLaw(-1.0, 2.0))
CONTINUOUS = DensityOfStates.smooth(GammaLaw(0.0, 1.5))
ATOM = DensityOfStates.atom(-2.0)
EMPIRICAL = from_log_densities(np.concatenate([np.full(300, -2.0), np.random.default_rng(0).normal(-3, 1, 700)]))
LAWS = {"mixed": MIXED, "continuous": CONTINUOUS, "atom": ATOM, "empirical": EMPIRICAL}

every_law = pytest.mark.parametrize("states", LAWS.values(), ids=LAWS)


@every_law
def test_quantile_is_the_inverse_of_the_distribution_function(states):
    """`quantile(u) <= y` exactly where `u <= cdf(y)`."""
    u = np.concatenate([[0.0, 1.0], np.linspace(0, 1, 301)[1:-1] + 1e-7])
    y = states.quantile(u)
    assert np.all(np.diff(y[2:]) >= 0)
    assert np.all(states.cdf(y) >= u - 1e-9)
    assert np.all(states.cdf(y - 1e-9, "left") <= u + 1e-6)


@every_law
def test_one_sided_distribution_functions_differ_by_the_atoms(states):
    jump = states.cdf(states.positions) - states.cdf(states.positions, "left")
    np.testing.assert_allclose(jump, states.masses, atol=1e-12)


@every_law
def test_areas_and_atoms_make_one(states):
    edges, density = states.histogram(np.linspace(-60, 1, 2001))
    assert np.sum(density * np.diff(edges)) + states.masses.sum() == pytest.approx(1, abs=1e-9)
    middles = np.linspace(-60, 10, 2_000_001)
    assert np.trapezoid(states.pdf(middles), middles) == pytest.approx(states.continuous_mass, abs=1e-4)


@every_law
def test_shift_moves_everything(states):
    moved = states.shift(2.5)
    assert moved.mean == pytest.approx(states.mean + 2.5)
    assert moved.variance == pytest.approx(states.variance)
    u = np.linspace(0.01, 0.99, 37)
    np.testing.assert_allclose(moved.quantile(u), states.quantile(u) + 2.5)
    np.testing.assert_allclose(moved.cdf(moved.quantile(u)), states.cdf(states.quantile(u)), atol=1e-9)
    y = np.linspace(-5, 0.5, 40)
    np.testing.assert_allclose(moved.pdf(y + 2.5), states.pdf(y), atol=1e-9)
    assert moved.sample_size == states.sample_size


@every_law
@pytest.mark.parametrize("shape", [(), (3,), (2, 2), (0,)])
def test_results_have_the_shape_of_what_is_asked(states, shape):
    u = np.full(shape, 0.4)
    for result in (states.cdf(u - 2), states.quantile(u), states.pdf(u - 2)):
        assert result.shape == shape


def test_moments_of_a_mixed_law():
    """By a sum over its own quantiles."""
    values = MIXED.quantile((np.arange(1_000_000) + 0.5) / 1_000_000)
    assert MIXED.mean == pytest.approx(values.mean(), abs=1e-5)
    assert MIXED.variance == pytest.approx(values.var(), abs=1e-4)


@given(st.lists(st.sampled_from([-4.0, -2.5, -2.0, -1.0, 0.0, 3.0]), min_size=1, max_size=40))
def test_samples_are_taken_as_they_are(values):
    states = from_log_densities(values)
    assert states.mean == pytest.approx(np.mean(values), abs=1e-12)
    assert states.variance == pytest.approx(np.var(values), abs=1e-12)
    assert states.sample_size == len(values)
    y = np.linspace(-5, 4, 19)
    np.testing.assert_allclose(states.cdf(y), [np.mean(np.asarray(values) <= each) for each in y])
    np.testing.assert_allclose(states.cdf(y, "left"), [np.mean(np.asarray(values) < each) for each in y])
    n = len(values)
    middles = (np.arange(n) + 0.5) / n
    np.testing.assert_array_equal(states.quantile(middles), np.sort(values))


def test_repeated_values_are_atoms_and_rounded_ones_are_not():
    rng = np.random.default_rng(0)
    smooth = rng.standard_normal(400_000).astype(np.float32)
    assert len(np.unique(smooth)) < len(smooth)
    assert len(from_log_densities(smooth).positions) == 0
    states = from_log_densities(rng.permutation(np.concatenate([smooth, np.full(100_000, np.float32(-0.3))])))
    np.testing.assert_array_equal(states.positions, [np.float32(-0.3)])
    np.testing.assert_allclose(states.masses, [0.2])


def test_a_kernel_estimate_is_near_the_density():
    values = np.random.default_rng(1).normal(-3, 0.7, 100_000)
    y = np.linspace(-6, 0, 50)
    np.testing.assert_allclose(from_log_densities(values).pdf(y), stats.norm.pdf(y, -3, 0.7), atol=0.02)


def test_an_outlier_does_not_blur_the_kernel_estimate():
    values = np.append(np.random.default_rng(1).normal(-3, 0.7, 100_000), -1e4)
    y = np.linspace(-6, 0, 50)
    np.testing.assert_allclose(from_log_densities(values).pdf(y), stats.norm.pdf(y, -3, 0.7), atol=0.02)


@pytest.mark.parametrize("values", [[1.0], [2.0, 2.0], [1.0, 2.0]])
def test_very_few_samples(values):
    states = from_log_densities(values)
    assert np.all(np.isfinite(states.pdf(np.linspace(0, 3, 7))))
    assert np.all(np.isfinite(states.histogram(5).density))


def test_zero_densities_are_an_atom_at_minus_infinity():
    states = from_log_densities([-np.inf, -1.0, -2.0, -3.0])
    np.testing.assert_array_equal(states.positions, [-np.inf])
    assert states.zero_mass == 0.25
    assert states.mean == -np.inf
    assert np.isnan(states.variance)
    np.testing.assert_allclose(states.cdf([-1e300, -2.0, 0.0]), [0.25, 0.75, 1.0])
    np.testing.assert_array_equal(states.quantile([0.1, 0.3, 1.0]), [-np.inf, -3.0, -1.0])
    assert from_log_densities([-np.inf] * 3).zero_mass == 1


def test_bootstrap_samples_have_the_size_and_the_values_of_the_samples():
    drawn = EMPIRICAL.resample(np.random.default_rng(0))
    assert drawn.sample_size == EMPIRICAL.sample_size
    assert drawn.continuous_mass * 1000 == pytest.approx(len(drawn.continuous.values))
    assert set(drawn.continuous.values) < set(EMPIRICAL.continuous.values)
    assert np.all(np.diff(drawn.continuous.values) >= 0)
    # A mass of 0.3 in 1000 draws has the standard deviation 0.0145.
    assert abs(drawn.masses[0] - 0.3) < 0.07
    assert MIXED.resample(np.random.default_rng(0)) is MIXED


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "there are no log-densities"),
        ([0.0, np.nan, 1.0, np.nan], "2 of 4 log-densities are NaN, the first is number 1"),
        ([0.0, -1.0, np.inf], r"1 of 3 log-densities are \+inf, the first is number 2"),
    ],
)
def test_bad_samples_are_refused_in_one_line(values, message):
    with pytest.raises(UserError, match=message) as error:
        from_log_densities(values)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("u", [-0.1, 1.1, np.nan])
def test_bad_probabilities_are_refused(u):
    with pytest.raises(UserError, match="probabilities lie between 0 and 1"):
        MIXED.quantile(u)


@pytest.mark.parametrize("bins", [0, -1, np.zeros(1)])
def test_no_bins_are_refused(bins):
    with pytest.raises(UserError, match="at least 1 bin"):
        MIXED.histogram(bins)
