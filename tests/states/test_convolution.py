"""Independent parts: sums of log-densities."""

import numpy as np
import pytest
from scipy import stats

from pushforward.states import DensityOfStates, convolve, from_log_densities, volume_preserving_bound
from pushforward.states.laws import CosineLaw, GammaLaw, GumbelLaw, LogBetaLaw, StepLaw

smooth = DensityOfStates.smooth


@pytest.mark.parametrize("dim", [2, 3, 10, 100, 3072])
def test_one_dimension_many_times_is_the_normal_of_many(dim):
    states = convolve([smooth(GammaLaw(0.3, 0.5))], [dim])
    exact = smooth(GammaLaw(0.3 * dim, dim / 2))
    u = np.linspace(0.001, 0.999, 999)
    np.testing.assert_allclose(states.cdf(exact.quantile(u)), u, atol=1e-6)
    np.testing.assert_allclose(states.quantile(u), exact.quantile(u), atol=1e-5 * exact.variance**0.5)
    assert states.mean == pytest.approx(exact.mean, rel=1e-6)
    assert states.variance == pytest.approx(exact.variance, rel=1e-5)
    y = exact.quantile(np.linspace(0.1, 0.9, 9))
    np.testing.assert_allclose(states.pdf(y), exact.pdf(y), rtol=1e-3)


PAIRS = {
    "student-t": (LogBetaLaw(0.0, 0.75, 0.5, 1.25), LogBetaLaw(-1.0, 2.0, 0.5, 2.5)),
    "von mises": (CosineLaw(0.0, 0.5), CosineLaw(2.0, 3.0)),
    "gumbel": (GumbelLaw(0.0), GumbelLaw(0.5)),
    "mixed": (GammaLaw(0.0, 1.5), StepLaw(0.0, 1.0, 10.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
def test_two_laws_by_quadrature(pair):
    """`P(A + B <= y)` is the mean over B of `P(A <= y - B)`, which is 1 for B below `y - top of A`."""
    first, second = pair
    states = convolve([smooth(first), smooth(second)])
    root = (np.arange(400_000) + 0.5) / 400_000
    u, weights = root**2 * (3 - 2 * root), 6 * root * (1 - root) / len(root)
    for y in states.quantile(np.array([0.01, 0.1, 0.3, 0.5, 0.8, 0.95])):
        certain = float(second.cdf(np.array([y - first.top]))[0])
        rest = weights @ first.cdf(y - second.quantile(certain + (1 - certain) * u))
        assert float(states.cdf(y)) == pytest.approx(certain + (1 - certain) * rest, abs=1e-6)


@pytest.mark.parametrize("dim", [2, 3, 4, 36, 1024])
def test_no_mass_is_made_by_rounding(dim):
    """Far out a mass stands for a large volume: without that of rounding errors a Normal loses nothing to itself."""
    normal = [smooth(GammaLaw(-0.5 * d * np.log(2 * np.pi), d / 2)) for d in (1, dim - 1)]
    assert abs(volume_preserving_bound(convolve(normal), dim).nats) < 5e-6


def test_atoms_add_and_multiply():
    coin = DensityOfStates(np.array([-2.0, -1.0]), np.array([0.25, 0.75]), None)
    states = convolve([coin], [10])
    np.testing.assert_allclose(states.positions, np.arange(-20, -9))
    np.testing.assert_allclose(states.masses, stats.binom.pmf(np.arange(11), 10, 0.75), atol=1e-12)
    assert states.continuous is None
    both = convolve([coin, DensityOfStates.atom(0.5)])
    np.testing.assert_allclose(both.positions, [-1.5, -0.5])


def test_an_atom_shifts_a_continuous_law():
    states = convolve([DensityOfStates.atom(0.5), smooth(GammaLaw(0.0, 2.0))])
    exact = smooth(GammaLaw(0.5, 2.0))
    u = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(states.quantile(u), exact.quantile(u), atol=1e-4)
    assert len(states.positions) == 0


def test_atoms_and_continuous_parts():
    """Against sums of draws, to 5 standard errors."""
    part = DensityOfStates(np.array([-3.0, -1.0]), np.array([0.2, 0.3]), GammaLaw(-0.5, 1.0))
    states = convolve([part], [3])
    np.testing.assert_allclose(states.masses, [0.008, 0.036, 0.054, 0.027], atol=1e-12)
    n = 400_000
    draws = part.quantile(np.random.default_rng(0).random((n, 3))).sum(axis=1)
    assert abs(draws.mean() - states.mean) < 5 * draws.std() / n**0.5
    y = np.array([-9.0, -7.5, -6.0, -5.5, -4.2, -3.5, -2.9, -2.0])
    expected = states.cdf(y)
    seen = np.mean(draws[:, None] <= y + 1e-9, axis=0)
    assert np.all(np.abs(seen - expected) < 5 * np.sqrt(expected * (1 - expected) / n) + 1e-4)


def test_samples_can_be_parts():
    values = np.random.default_rng(0).normal(-3, 1, 20_000)
    states = convolve([from_log_densities(values), smooth(GammaLaw(0.0, 0.5))])
    assert states.mean == pytest.approx(values.mean() - 0.5, abs=1e-6)
    assert states.variance == pytest.approx(values.var() + 0.5, rel=1e-5)


def test_one_part_is_itself():
    part = smooth(GumbelLaw(0.0))
    assert convolve([part]) is part


@pytest.mark.parametrize(
    ("parts", "counts", "message"),
    [
        ([], None, "at least one part"),
        ([DensityOfStates.atom(0.0)], [0], "each at least once"),
        ([from_log_densities([-np.inf, 0.0])], [2], "mass at -inf"),
    ],
)
def test_nothing_to_convolve_is_refused(parts, counts, message):
    with pytest.raises(ValueError, match=message):
        convolve(parts, counts)


def test_an_atom_moves_the_others_to_every_digit():
    """Draws of which all but a few have one log-density, beside noise that has one: their continuous part is thin."""
    drawn = from_log_densities(np.concatenate([np.zeros(100_000), [-3.0, -0.5, -0.1]]))
    atom = from_log_densities(np.full(10, 5.5))
    moved = convolve([drawn, atom], [1, 2])
    assert moved.mean == pytest.approx(drawn.mean + 11.0, abs=1e-12)
    np.testing.assert_array_equal(moved.quantile([0.0, 0.5, 1.0]), drawn.quantile([0.0, 0.5, 1.0]) + 11.0)


def test_a_value_far_beyond_the_standard_deviation_stays_where_it_is():
    """A thousandth of the draws lies up to 80 standard deviations below the rest, beside two atoms."""
    below = -3.6 * np.linspace(0, 1, 101)[1:] ** 2
    drawn = from_log_densities(np.concatenate([np.zeros(99_900), below]))
    atoms = from_log_densities(np.repeat([5.5, 5.6], 10))
    moved = convolve([drawn, atoms])
    assert moved.continuous_mass == pytest.approx(0.001)
    assert moved.mean == pytest.approx(drawn.mean + 5.55, abs=1e-7)
    assert moved.variance == pytest.approx(drawn.variance + 0.05**2, rel=1e-5)
    assert moved.quantile([0.0])[0] == pytest.approx(5.5 - 3.6, abs=1e-4)
