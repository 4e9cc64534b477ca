"""The volume-preserving bound: closed forms, references, its interval, what is refused."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, optimize, special, stats

from pushforward import manifolds
from pushforward.distributions import Laplace, Logistic, Normal, StudentT, Uniform
from pushforward.errors import UserError
from pushforward.states import (
    DensityOfStates,
    closed_form,
    density_of_states,
    from_draws,
    from_log_densities,
    volume_preserving_bound,
)
from pushforward.states.laws import GammaLaw, LogBetaLaw


def uniform_bound(dim):
    return 0.5 * dim * math.log(2 / (dim + 2)) + 0.5 * dim + special.gammaln(0.5 * dim + 1)


def log_unit_ball(dim):
    return 0.5 * dim * math.log(math.pi) - special.gammaln(0.5 * dim + 1)


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "nats"), [(2, 0.3069), (36, 1.40), (100, 1.89), (196, 2.22)])
def test_uniform_data_from_samples(dim, nats):
    bound = volume_preserving_bound(np.full(100_000, -0.7), dim)
    assert bound.nats == pytest.approx(nats, rel=0.01)
    assert [bound.low, bound.high] == pytest.approx([bound.nats] * 2, abs=1e-12)


@pytest.mark.parametrize("dim", [1, 2, 3, 36, 784, 3072])
def test_uniform_data_in_closed_form(dim):
    uniform = Uniform(jnp.zeros(dim), jnp.linspace(0.5, 3.0, dim))
    for states in (closed_form(uniform), DensityOfStates.atom(0.0), DensityOfStates.atom(-900.0)):
        bound = volume_preserving_bound(states, dim)
        assert bound.nats == pytest.approx(uniform_bound(dim), abs=1e-6)
        assert bound.per_dim == bound.nats / dim


@pytest.mark.parametrize("dim", [1, 2, 10, 100, 784, 3072])
def test_laplace_data(dim):
    """`|x|_1 < t` has the volume `(2 t)^D / D!`, so that the radius goes with t, whose mean square is `D (D + 1)`."""
    log_second_moment = math.log(4 * dim * (dim + 1)) - 2 / dim * (special.gammaln(dim + 1) + log_unit_ball(dim))
    entropy = dim * (math.log(2) + 1)
    expected = 0.5 * dim * (math.log(2 * math.pi * math.e / dim) + log_second_moment) - entropy
    assert volume_preserving_bound(closed_form(Laplace.standard(dim)), dim).nats == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", ["logistic", "student-t"])
def test_a_symmetric_density_on_the_line_is_its_own_rearrangement(name, x64):
    family, law = {
        "logistic": (Logistic.standard(1), stats.logistic()),
        "student-t": (StudentT.standard(1, df=7.0), stats.t(7)),
    }[name]
    expected = -law.entropy() + 0.5 * math.log(2 * math.pi * math.e * law.var())
    assert volume_preserving_bound(closed_form(family), 1).nats == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("dim", [1, 2, 10, 100, 784, 3072])
def test_normal_data_lose_nothing(dim):
    """From samples the bound is too high by what the samples leave open: here 1e-3 at most."""
    assert volume_preserving_bound(closed_form(Normal.standard(dim)), dim).nats == pytest.approx(0, abs=1e-5)
    values = -0.5 * np.random.default_rng(dim).chisquare(dim, 100_000) - 0.5 * dim * math.log(2 * math.pi)
    bound = volume_preserving_bound(values, dim, replicates=30)
    assert bound.low == 0
    assert -1e-4 < bound.nats < 1e-3
    assert bound.log_scale == pytest.approx(0, abs=0.02)


def noisy_segment(dim, n=100_000, scale=0.01):
    """Log-densities of a unit segment with Gaussian noise in all D dimensions."""
    rng = np.random.default_rng(dim)
    along = rng.random(n) + scale * rng.standard_normal(n)
    log_density = np.log(special.ndtr(along / scale) - special.ndtr((along - 1) / scale))
    return log_density - 0.5 * (dim - 1) * math.log(2 * math.pi * scale**2) - 0.5 * rng.chisquare(dim - 1, n)


@pytest.mark.slow
def test_a_segment_with_noise():
    bound = volume_preserving_bound(noisy_segment(2), 2)
    assert bound.nats == pytest.approx(0.0438, abs=0.003)
    assert bound.low < 0.0438 < bound.high
    for dim in (36, 100, 196):
        assert volume_preserving_bound(noisy_segment(dim), dim, replicates=10).nats < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize(("dim", "nats"), [(36, 6.83e-5), (100, 1.0e-5), (196, 4.7e-6)])
def test_noise_beside_the_samples_lowers_the_floor(dim, nats):
    """A segment with noise of 0.1: its own dimension drawn, the noise beside it exact.

    The values are those of 2^17 points at equal steps of probability; draws of all dimensions give 3e-4 at D = 36.
    Below 3e-6 nats the steps of the convolution's grid show beside the draws.
    """
    segment = manifolds.inflate(manifolds.make("segment-uniform"), 1, "normal", scale=0.1)
    beside = density_of_states(Normal.standard(dim - 1)).shift(-(dim - 1) * math.log(0.1))
    drawn = from_draws(segment, jax.random.key(0), 2**17)
    bound = volume_preserving_bound(drawn, dim, beside=beside, replicates=20)
    assert bound.nats == pytest.approx(nats, abs=5e-6)
    assert bound.low - 3e-6 <= nats <= bound.high + 3e-6
    assert bound.high - bound.low < 2e-5


@pytest.mark.slow
def test_what_is_beside_counts_as_if_it_were_drawn():
    """In D = 4, half of it exact, Laplace data lose what draws of all four dimensions say."""
    n = 2**18
    draws = np.asarray(Laplace.standard(4).sample_and_log_prob(jax.random.key(1), (n,))[1], np.float64)
    half = np.asarray(Laplace.standard(2).sample_and_log_prob(jax.random.key(2), (n,))[1], np.float64)
    whole = volume_preserving_bound(draws, 4, replicates=20)
    beside = density_of_states(Laplace.standard(2))
    assert volume_preserving_bound(half, 4, beside=beside, replicates=20).nats == pytest.approx(whole.nats, abs=2e-3)


@pytest.mark.slow
@pytest.mark.parametrize("df", [5.0, None])
def test_an_interval_holds_what_heavy_tails_lose(df):
    """30 intervals of level 0.95, 1,000 draws each: fewer than 24 that hold the exact value are a 1 in 1,600 event."""
    law = StudentT.standard(2, df=df) if df else Normal.standard(2)
    exact = 0.0600585 if df else 0.0
    covered = 0
    for seed in range(30):
        drawn = np.asarray(law.sample_and_log_prob(jax.random.key(seed), (1_000,))[1], np.float64)
        bound = volume_preserving_bound(drawn, 2, seed=seed)
        covered += bound.low <= exact <= bound.high
    assert covered >= 24


@pytest.mark.parametrize(("step", "told"), [(0.5, False), (0.8, True), (5.0, True)])
def test_what_is_told_does_not_depend_on_how_many_draws_of_the_base_come_first(step, told, monkeypatch):
    """A step of 0.8 is too small for 300 draws of the base to tell, and all 20,000 are asked."""
    rng = np.random.default_rng(1)
    values = -0.5 * rng.chisquare(10, 20_000) + rng.choice([-step, step], 20_000)
    lows = []
    for few in (100_000, 300):
        monkeypatch.setattr("pushforward.states.bound.FEW", few)
        lows.append(volume_preserving_bound(values, 10, replicates=40).low)
    assert lows[0] == lows[1]
    assert (lows[0] > 0) == told


def test_no_bound_is_told_where_normal_draws_give_as_much():
    """D = 3,072, 2,000 draws: a lower end is above 0 by chance 1 time in 40; 4 of 20 are a 1 in 500 event."""
    rng = np.random.default_rng(0)
    lows = [volume_preserving_bound(-0.5 * rng.chisquare(3072, 2_000), 3072, replicates=40).low for _ in range(20)]
    assert sum(low > 0 for low in lows) < 4
    told = volume_preserving_bound(-0.5 * rng.chisquare(3072, 2_000) + rng.choice([-60, 60], 2_000), 3072)
    assert told.low > 0


@pytest.mark.slow
def test_an_interval_holds_the_exact_bound():
    """40 intervals of level 0.95 for Laplace data in the plane, log 3 - 1; fewer than 32 would be a 1 in 1e4 event."""
    expected, covered = math.log(3) - 1, 0
    for seed in range(40):
        values = -np.random.default_rng(seed).gamma(2.0, size=2000) - 2 * math.log(2)
        bound = volume_preserving_bound(values, 2, replicates=100, seed=seed)
        assert bound.low <= bound.nats <= bound.high
        covered += bound.low <= expected <= bound.high
    assert covered >= 32


@given(st.lists(st.floats(-2000, 2000), min_size=1, max_size=50), st.integers(2, 3072), st.floats(-50, 50))
def test_it_is_never_negative_and_a_shift_does_not_matter(values, dim, offset):
    bound = volume_preserving_bound(values, dim, replicates=2)
    assert bound.nats >= -1e-6
    moved = volume_preserving_bound(np.asarray(values) + offset, dim, replicates=2)
    assert moved.nats == pytest.approx(bound.nats, abs=1e-6, rel=1e-6)
    assert moved.log_scale == pytest.approx(bound.log_scale - offset / dim, abs=1e-6)


def test_many_atoms_by_quadrature():
    """A staircase of three levels, rearranged by hand into a disc and two rings."""
    masses, levels = np.array([0.5, 0.3, 0.2]), np.array([-1.0, -2.0, -4.0])
    states = DensityOfStates(levels[::-1], masses[::-1], None)
    radii = np.sqrt(np.concatenate([[0], np.cumsum(masses * np.exp(-levels))]) / np.pi)
    second_moment = sum(np.exp(y) * np.pi / 2 * (b**4 - a**4) for y, a, b in zip(levels, radii[:-1], radii[1:]))
    expected = masses @ levels + math.log(2 * math.pi * math.e * second_moment / 2)
    assert volume_preserving_bound(states, 2).nats == pytest.approx(expected, abs=1e-6)


class TestStudentTBase:
    @pytest.mark.parametrize(("dim", "df"), [(1, 3.0), (2, 0.5), (2, 30.0), (50, 3.0), (784, 5.0)])
    def test_data_of_its_own_kind_lose_nothing(self, dim, df):
        log_constant = special.gammaln((df + dim) / 2) - special.gammaln(df / 2) - dim / 2 * math.log(df * math.pi)
        states = DensityOfStates.smooth(LogBetaLaw(float(log_constant), df / 2, dim / 2, (df + dim) / 2))
        bound = volume_preserving_bound(states, dim, "student-t", df=df)
        assert bound.nats == pytest.approx(0, abs=5e-5)
        assert bound.log_scale == pytest.approx(0, abs=1e-4)

    def test_uniform_data_by_quadrature(self):
        """On the unit disc the mean of `log(1 + r^2 / a)` is `(1 + a) log(1 + 1 / a) - 1`."""
        df = 3.0

        def divergence(log_square):
            a = math.exp(log_square)
            tail = (1 + a) * math.log1p(1 / a) - 1
            return -math.log(math.pi) + math.log(2 * math.pi * a / df) + (df + 2) / 2 * tail

        expected = optimize.minimize_scalar(divergence).fun
        bound = volume_preserving_bound(DensityOfStates.atom(3.0), 2, "student-t", df=df)
        assert bound.nats == pytest.approx(expected, abs=1e-6)

    def test_normal_data_on_the_line(self):
        def divergence(log_scale):
            t = stats.t(3, scale=math.exp(log_scale))
            return integrate.quad(lambda x: stats.norm.pdf(x) * (stats.norm.logpdf(x) - t.logpdf(x)), -12, 12)[0]

        expected = optimize.minimize_scalar(divergence, bounds=(-1, 1), method="bounded").fun
        bound = volume_preserving_bound(closed_form(Normal.standard(1)), 1, "student-t", df=3.0)
        assert bound.nats == pytest.approx(expected, abs=1e-6)

    @pytest.mark.parametrize("df", [0.0, -1.0, math.nan])
    def test_bad_degrees_of_freedom_are_refused(self, df):
        with pytest.raises(UserError, match="degrees of freedom are positive"):
            volume_preserving_bound([0.0], 2, "student-t", df=df)


class TestUniformBase:
    def test_uniform_data_lose_nothing(self):
        bound = volume_preserving_bound(np.full(1000, 2.0), 5, "uniform")
        assert bound.nats == pytest.approx(0, abs=1e-9)
        assert bound.log_scale == pytest.approx((-2.0 - log_unit_ball(5)) / 5)

    def test_log_volume_less_entropy(self):
        masses, levels = np.array([0.2, 0.8]), np.array([-4.0, -1.0])
        bound = volume_preserving_bound(DensityOfStates(levels, masses, None), 2, "uniform")
        assert bound.nats == pytest.approx(math.log(masses @ np.exp(-levels)) + masses @ levels)

    @pytest.mark.parametrize("n", [2, 5, 20, 24, 30])
    def test_few_draws_do_not_tell_a_volume(self, n):
        drawn = -0.5 * np.random.default_rng(n).normal(size=n) ** 2
        assert volume_preserving_bound(drawn, 1, "uniform").nats == math.inf

    def test_repeated_levels_tell_it(self):
        """A lowest level that repeats ends the support: two levels of mass 1/2, of volumes 1/2 and 1."""
        drawn = np.repeat([0.0, -math.log(2)], 10)
        expected = math.log(1.5) - 0.5 * math.log(2)
        assert volume_preserving_bound(drawn, 1, "uniform").nats == pytest.approx(expected, abs=1e-9)

    def test_unbounded_supports_are_infinitely_far(self):
        for data in (closed_form(Normal.standard(2)), -np.random.default_rng(0).exponential(size=10_000)):
            assert volume_preserving_bound(data, 2, "uniform").nats == np.inf


def test_log_densities_of_any_kind_are_taken():
    values = np.random.default_rng(0).normal(size=(4, 25))
    nats = {
        volume_preserving_bound(each, 3, replicates=2).nats
        for each in (values, values.tolist(), jnp.asarray(values, float), from_log_densities(values.ravel()))
    }
    assert max(nats) - min(nats) < 1e-5
    with jax.enable_x64(True):
        assert volume_preserving_bound(jnp.asarray(values), np.int64(3), replicates=2).dim == 3


@pytest.mark.parametrize(
    ("values", "dim", "base", "message"),
    [
        ([], 2, "normal", "there are no log-densities"),
        ([0.0, np.nan], 2, "normal", "1 of 2 log-densities are NaN"),
        ([0.0, np.inf], 2, "normal", r"1 of 2 log-densities are \+inf"),
        ([0.0, -np.inf, 1.0, 0.5], 2, "normal", "25.000% of the log-densities are -inf"),
        ([0.0], None, "normal", "D is missing"),
        ([0.0], 0, "normal", "positive whole number, got 0"),
        ([0.0], -3, "normal", "positive whole number, got -3"),
        ([0.0], 2.5, "normal", "positive whole number, got 2.5"),
        ([0.0], math.nan, "normal", "positive whole number, got nan"),
        ([0.0], math.inf, "normal", "positive whole number, got inf"),
    ],
)
def test_bad_input_is_refused_in_one_line(values, dim, base, message):
    with pytest.raises(UserError, match=message) as error:
        volume_preserving_bound(values, dim, base)
    assert "\n" not in str(error.value)


def test_the_scale_of_a_closed_form():
    states = DensityOfStates.smooth(GammaLaw(-math.log(2 * math.pi) - 2 * 0.7, 1.0))
    assert volume_preserving_bound(states, 2).log_scale == pytest.approx(0.7, abs=1e-6)
