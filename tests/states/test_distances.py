"""Distances between densities of states, and their intervals."""

import numpy as np
import pytest
from scipy import integrate, stats

from pushforward.errors import UserError
from pushforward.states import (
    DensityOfStates,
    bootstrap,
    centred_wasserstein,
    compare,
    from_log_densities,
    kl,
    mean_gap,
    wasserstein,
)
from pushforward.states.laws import CosineLaw, GammaLaw, GumbelLaw, LogBetaLaw

smooth = DensityOfStates.smooth

EXACT = {
    "normal": smooth(GammaLaw(-1.0, 1.0)),
    "student-t": smooth(LogBetaLaw(-1.3, 1.5, 0.5, 2.0)),
    "gumbel": smooth(GumbelLaw(-1.0)),
    "von mises": smooth(CosineLaw(-1.5, 0.8)),
    "atom": DensityOfStates.atom(-2.0),
    "mixed": DensityOfStates(np.array([-3.0, -1.2]), np.array([0.2, 0.4]), GammaLaw(-1.0, 0.5)),
}
PAIRS = [(a, b) for a in EXACT for b in EXACT if a < b]

every_pair = pytest.mark.parametrize(("a", "b"), PAIRS)


@pytest.mark.slow
@every_pair
def test_wasserstein_of_exact_laws_by_quadrature(a, b):
    """The integral of the distance of the quantile functions, by the midpoint rule for each of many cells."""
    a, b = EXACT[a], EXACT[b]
    v = (np.arange(400_000) + 0.5) / 400_000
    u, weights = v**2 * (3 - 2 * v), 6 * v * (1 - v) / len(v)
    expected = weights @ np.abs(a.quantile(u) - b.quantile(u))
    assert wasserstein(a, b) == pytest.approx(expected, rel=2e-5, abs=1e-6)
    assert wasserstein(b, a) == pytest.approx(wasserstein(a, b))


@pytest.mark.parametrize("sizes", [(50, 50), (100, 37), (1000, 1)])
def test_wasserstein_of_samples_is_scipys(sizes):
    rng = np.random.default_rng(0)
    a, b = (np.round(rng.normal(-3, 1, size), 1) for size in sizes)
    assert wasserstein(from_log_densities(a), from_log_densities(b)) == pytest.approx(stats.wasserstein_distance(a, b))


def test_wasserstein_of_samples_and_an_atom():
    values = np.random.default_rng(0).normal(-3, 1, 1000)
    distance = wasserstein(from_log_densities(values), DensityOfStates.atom(-2.0))
    assert distance == pytest.approx(np.abs(values + 2).mean())


@pytest.mark.parametrize("name", EXACT)
def test_a_law_is_at_no_distance_from_itself(name):
    states = EXACT[name]
    assert wasserstein(states, states) == 0
    assert kl(states, states) == pytest.approx(0, abs=1e-9)
    assert wasserstein(states, states.shift(0.7)) == pytest.approx(0.7, rel=1e-5)
    assert centred_wasserstein(states, states.shift(0.7)) == pytest.approx(0, abs=1e-6)
    assert mean_gap(states, states.shift(0.7)) == pytest.approx(-0.7)


@every_pair
def test_the_mean_gap_is_at_most_the_distance(a, b):
    a, b = EXACT[a], EXACT[b]
    assert abs(mean_gap(a, b)) <= wasserstein(a, b) * (1 + 1e-6)


def test_kl_of_exact_laws_by_quadrature():
    a, b = GammaLaw(-1.0, 2.0), GammaLaw(-0.5, 1.2)

    def integrand(y):
        ours, theirs = (float(law.pdf(np.array([y]))[0]) for law in (a, b))
        return ours * np.log(ours / theirs)

    expected = integrate.quad(integrand, -60, -1.0, epsabs=1e-10, limit=200)[0]
    assert kl(smooth(a), smooth(b)) == pytest.approx(expected, abs=1e-6)
    assert kl(smooth(b), smooth(a)) == np.inf


def test_kl_of_samples_approaches_that_of_the_laws():
    a, b = (stats.norm(-3, 1), stats.norm(-2.7, 1.2))
    expected = np.log(1.2) + (1 + 0.09) / (2 * 1.44) - 0.5
    rng = np.random.default_rng(0)
    samples = [from_log_densities(law.rvs(200_000, random_state=rng)) for law in (a, b)]
    assert kl(*samples) == pytest.approx(expected, abs=0.005)
    assert kl(samples[0], samples[0]) == 0


def test_kl_of_atoms():
    a = DensityOfStates(np.array([-2.0]), np.array([0.3]), GammaLaw(-1.0, 1.0))
    b = DensityOfStates(np.array([-2.0]), np.array([0.6]), GammaLaw(-1.0, 1.0))
    expected = 0.3 * np.log(0.3 / 0.6) + 0.7 * np.log(0.7 / 0.4)
    assert kl(a, b) == pytest.approx(expected)
    n = 10_000
    draws = [
        np.where(np.arange(n) < m * n, -2.0, -1 - np.random.default_rng(i).exponential(size=n))
        for i, m in enumerate([0.3, 0.6])
    ]
    assert kl(*map(from_log_densities, draws)) == pytest.approx(expected, abs=0.01)
    assert kl(a, b.shift(0.1)) == np.inf
    assert kl(EXACT["normal"], EXACT["atom"]) == np.inf
    assert kl(EXACT["atom"], EXACT["normal"]) == np.inf
    assert kl(EXACT["atom"], EXACT["atom"]) == 0


def test_zero_densities_put_laws_infinitely_far_apart():
    a, b = from_log_densities([-np.inf, -1.0, -2.0]), from_log_densities([-1.0, -1.5, -2.0])
    assert wasserstein(a, b) == np.inf
    assert centred_wasserstein(a, b) == np.inf
    assert np.isnan(mean_gap(a, b))
    assert wasserstein(a, a.shift(0.5)) == pytest.approx(1 / 3)
    result = compare(a, b, dim=2, replicates=3)
    assert result.wasserstein.value == np.inf


def test_an_exact_law_has_no_interval():
    (mean,) = bootstrap(lambda states: np.array([states.mean]), EXACT["gumbel"])
    assert mean.low == mean.value == mean.high


@pytest.mark.slow
def test_intervals_cover_the_truth():
    """Of 200 intervals of level 0.9 for a mean, at least 165 and at most 195 hold it: an error rate of 5e-4."""
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        states = from_log_densities(-rng.exponential(size=400))
        (mean,) = bootstrap(lambda states: np.array([states.mean]), states, level=0.9, seed=seed)
        covered += mean.low <= -1 <= mean.high
    assert 165 <= covered <= 195


def test_comparison_of_samples_with_a_law():
    law = EXACT["normal"]
    values = law.quantile(np.random.default_rng(0).random(20_000)) + 0.1
    result = compare(from_log_densities(values), law, dim=2, replicates=50)
    assert result.wasserstein.low < 0.1 < result.wasserstein.high
    assert result.wasserstein_per_dim.value == result.wasserstein.value / 2
    assert result.mean_gap.low < 0.1 < result.mean_gap.high
    assert result.centred_wasserstein.low == 0
    assert result.centred_wasserstein.value < 0.03
    assert 0 <= result.kl.low <= result.kl.value <= result.kl.high


def test_the_same_seed_gives_the_same_interval():
    states = from_log_densities(np.random.default_rng(0).normal(size=500))
    one, again, other = (compare(states, EXACT["normal"], 1, replicates=10, seed=seed) for seed in (0, 0, 1))
    assert one == again != other


@pytest.mark.parametrize("options", [{"replicates": 0}, {"level": 1.0}, {"level": 0.0}])
def test_no_interval_is_refused(options):
    states = from_log_densities([0.0, 1.0, 2.0])
    with pytest.raises(UserError, match="an interval needs"):
        compare(states, states, 2, **options)
