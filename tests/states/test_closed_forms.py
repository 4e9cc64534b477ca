"""Closed forms against quadrature of the densities themselves, and against samples."""

import math
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, stats

import pushforward.distributions
from pushforward import flows
from pushforward.bijections import DiagonalAffine, Inverse, Volume
from pushforward.distributions import (
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Logistic,
    Mixture,
    MultivariateNormal,
    Normal,
    Pushforward,
    SmoothStep,
    StudentT,
    Uniform,
    VonMises,
)
from pushforward.states import closed_form
from pushforward.states.laws import CosineLaw, GammaLaw, GumbelLaw, LogBetaLaw, StepLaw
from tests.checks import randomised


def place(dim):
    """A location and a log scale that are not 0."""
    return jnp.linspace(-1, 2, dim), jnp.linspace(-0.4, 0.3, dim)


FAMILIES = {
    "normal": lambda dim: Normal(*place(dim)),
    "multivariate normal": lambda dim: MultivariateNormal(place(dim)[0], jnp.full((dim, dim), 0.3)),
    "laplace": lambda dim: Laplace(*place(dim)),
    "generalized normal": lambda dim: GeneralizedNormal(*place(dim), log_beta=jnp.linspace(-0.5, 1.3, dim)),
    "uniform": lambda dim: Uniform(jnp.full(dim, -1.0), jnp.linspace(2.0, 3.0, dim)),
    "student-t": lambda dim: StudentT(*place(dim), log_df=jnp.linspace(0.3, 2.0, dim)),
    "logistic": lambda dim: Logistic(*place(dim)),
    "gumbel": lambda dim: Gumbel(*place(dim)),
    "von mises": lambda dim: VonMises(place(dim)[0], jnp.linspace(-0.7, 2.0, dim)),
    "smooth step": SmoothStep.standard,
}
WITHOUT = {
    "Average",
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "Distribution",
    "FamilyMixture",
    "LocationScale",
    "Mixture",
}


def angle(kappa):
    return VonMises(jnp.zeros(1), jnp.full(1, math.log(kappa)))


every_family = pytest.mark.parametrize("name", FAMILIES)


def test_every_public_distribution_has_a_closed_form_or_is_known_to_have_none():
    covered = {type(build(1)).__name__ for build in FAMILIES.values()} | WITHOUT | {"Pushforward"}
    public = {name for name in pushforward.distributions.__all__ if name[0].isupper()}
    assert public == covered


# scipy's law of each, with scale 1 about 0, beside what makes ours: in float64, that is inside a test.
ONE_DIMENSION = {
    "normal": (stats.norm(), lambda: Normal.standard(1)),
    "laplace": (stats.laplace(), lambda: Laplace.standard(1)),
    "logistic": (stats.logistic(), lambda: Logistic.standard(1)),
    "gumbel": (stats.gumbel_r(), lambda: Gumbel.standard(1)),
    **{f"t, {df}": (stats.t(df), partial(StudentT.standard, 1, df=df)) for df in (0.7, 3.0, 300.0)},
    **{f"gn, {b}": (stats.gennorm(b), partial(GeneralizedNormal.standard, 1, beta=b)) for b in (0.6, 1.0, 2.0, 9.0)},
    **{f"von mises, {kappa}": (stats.vonmises(kappa), partial(angle, kappa)) for kappa in (0.01, 0.5, 4.0, 40.0)},
}


@pytest.mark.parametrize("name", ONE_DIMENSION)
class TestOneDimension:
    """The level sets of a unimodal density are intervals, whose mass scipy knows."""

    @pytest.fixture
    def states(self, name, x64):
        return closed_form(ONE_DIMENSION[name][1]())

    @pytest.fixture
    def law(self, name):
        return ONE_DIMENSION[name][0]

    @pytest.fixture
    def ends(self, name):
        law = ONE_DIMENSION[name][0]
        return (-np.pi, np.pi) if "mises" in name else (law.ppf(1e-13), law.isf(1e-13))

    def test_distribution_function(self, states, law, ends):
        top = float(law.logpdf(0))

        def edge(level, end):
            """Where the log-density, on the way from 0 to `end`, has come down to `level`."""
            return optimize.brentq(lambda x: max(law.logpdf(x), -1e6) - level, 0, end, xtol=1e-15, rtol=1e-14)

        for depth in (1e-4, 0.01, 0.1, 0.5, 1.0, 2.0, 5.0):
            if law.logpdf(ends[0]) < top - depth:
                low, high = (edge(top - depth, end) for end in ends)
                assert float(states.cdf(top - depth)) == pytest.approx(law.cdf(low) + law.sf(high), abs=1e-6)
        assert float(states.cdf(top + 1e-9)) == 1

    def test_mean_and_variance(self, states, law):
        """Gauss-Legendre over the probability of each tail, in whose fourth root the log-densities are smooth."""
        nodes, weights = np.polynomial.legendre.leggauss(200)
        root, weights = (nodes + 1) / 2, weights / 2
        tail, weights = root**4 / 2, weights * 2 * root**3
        values = np.concatenate([law.logpdf(law.ppf(tail)), law.logpdf(law.isf(tail))])
        weights = np.concatenate([weights, weights])
        mean = weights @ values
        assert states.mean == pytest.approx(mean, abs=1e-6)
        assert states.variance == pytest.approx(weights @ (values - mean) ** 2, abs=1e-6)


@every_family
@pytest.mark.parametrize(("dim", "n"), [(1, 1_000_000), (3, 100_000)])
@pytest.mark.long
def test_against_samples(name, dim, n, x64):
    """Mean, variance and distribution function to 5 standard errors: an error rate below 2e-4 for all."""
    distribution = FAMILIES[name](dim)
    states = closed_form(distribution)
    values = np.asarray(jax.jit(lambda key: distribution.sample_and_log_prob(key, (n,))[1])(jax.random.key(dim)))
    rounding = 1e-12
    assert abs(values.mean() - states.mean) < 5 * values.std() / n**0.5 + rounding
    spread = (values - values.mean()) ** 2
    assert abs(values.var() - states.variance) < 5 * spread.std() / n**0.5 + rounding
    # Atoms blur by rounding: between them, and not at them.
    y = np.unique(np.round(np.quantile(values, np.linspace(0.05, 0.95, 10)), 3)) + 5e-4
    expected = states.cdf(y)
    seen = np.mean(values[:, None] <= y, axis=0)
    assert np.all(np.abs(seen - expected) < 5 * np.sqrt(expected * (1 - expected) / n) + 1e-6)


LAWS = {
    "gamma": GammaLaw(-1.0, 0.5),
    "gamma, many": GammaLaw(3.0, 1536.0),
    "log beta": LogBetaLaw(-1.0, 0.35, 0.5, 0.85),
    "log beta, heavy": LogBetaLaw(0.0, 0.01, 0.5, 0.51),
    "log beta, nearly normal": LogBetaLaw(0.0, 5e6, 0.5, 5e6 + 0.5),
    "cosine": CosineLaw(-2.0, 0.5),
    "cosine, sharp": CosineLaw(1.0, 1e6),
    "cosine, flat": CosineLaw(-1.8, 1e-5),
    "gumbel": GumbelLaw(-1.0),
    "step": StepLaw(-1.5, 1.0, 10.0),
    "part of a step": StepLaw(-1.5, 1.0, 10.0, 0.2, 0.7),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
class TestLaw:
    def test_quantiles_invert_the_distribution_function(self, law):
        u = np.concatenate([[1e-9, 1e-6], np.linspace(0.001, 0.999, 500), [1 - 1e-6]])
        # A law of width 2e-5 about -1.8 leaves the floats 1e-11 of it.
        np.testing.assert_allclose(law.cdf(law.quantile(u)), u, rtol=0, atol=1e-8 if law.variance > 1e-9 else 1e-5)

    def test_density_is_the_derivative_of_the_distribution_function(self, law):
        u = np.linspace(0.05, 0.9, 40)
        y, step = law.quantile(u), 1e-5 * law.variance**0.5
        slope = (law.cdf(y + step) - law.cdf(y - step)) / (2 * step)
        np.testing.assert_allclose(law.pdf(y), slope, rtol=1e-4)
        outside = np.array([law.top + 1e-6, law.top + 10])
        np.testing.assert_array_equal(law.pdf(outside), 0)
        np.testing.assert_allclose(law.cdf(outside), 1, atol=1e-12)

    def test_nodes_give_the_moments(self, law):
        values, weights = law.nodes(2**15)
        assert weights.sum() == pytest.approx(1, abs=1e-12)
        assert weights @ values == pytest.approx(law.mean, abs=1e-6 * max(1, law.variance**0.5))
        assert weights @ (values - law.mean) ** 2 == pytest.approx(law.variance, rel=1e-5)

    def test_ends_are_quiet(self, law):
        values = law.quantile(np.array([0.0, 1.0]))
        assert values[1] == pytest.approx(law.top, abs=1e-6) or isinstance(law, StepLaw)
        assert np.all(law.cdf(np.array([-1e300, -np.inf])) >= 0)
        assert np.all(law.pdf(np.array([law.top, law.top - 1e-15, -1e6])) >= 0)


@pytest.mark.parametrize("kappa", [1e-3, 0.5, 20.0])
def test_von_mises_density_of_the_closed_form(kappa, x64):
    """`2 e^y / sqrt(kappa^2 - (y + c)^2)` with `c = log(2 pi I0(kappa))`."""
    states = closed_form(angle(kappa))
    c = -stats.vonmises.logpdf(np.pi / 2, kappa)
    y = -c + kappa * np.linspace(-0.99, 0.99, 9)
    np.testing.assert_allclose(states.pdf(y), 2 * np.exp(y) / np.sqrt(kappa**2 - (y + c) ** 2), rtol=1e-9)


@pytest.mark.parametrize(("name", "variance"), [("von mises", 0.114), ("smooth step", 0.567), ("normal", 0.5)])
def test_known_variances(name, variance):
    law = angle(0.5) if name == "von mises" else FAMILIES[name](1)
    assert closed_form(law).variance == pytest.approx(variance, abs=5e-4)


def test_smooth_step_has_two_atoms_and_a_rise():
    states = closed_form(SmoothStep.standard(1))
    np.testing.assert_allclose(states.positions, np.log([0.02, 0.22]))
    np.testing.assert_allclose(states.masses, [0.10, 0.66])
    assert states.continuous_mass == pytest.approx(0.24)
    two = closed_form(SmoothStep.standard(2))
    np.testing.assert_allclose(two.positions, np.log([4e-4, 44e-4, 484e-4]))
    np.testing.assert_allclose(two.masses, [0.01, 2 * 0.066, 0.4356])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "end", "atoms"), [(-5.0, -1.0, 1), (3.0, 5.0, 1), (0.5, 1.5, 0), (-1.0, 1.0, 1), (1.0, 4.0, 1)]
)
def test_a_step_cut_off_by_its_interval(start, end, atoms, x64):
    law = SmoothStep(*(jnp.full(1, each) for each in (start, end, 1.0, 10.0, 0.5)))
    states = closed_form(law)
    assert len(states.positions) == atoms
    x = np.linspace(start, end, 2_000_001)
    log_density = np.asarray(law.log_prob(jnp.asarray(x)[:, None]))
    for y in np.linspace(np.log(0.02), np.log(1.2), 9):
        expected = np.trapezoid(np.where(log_density <= y, np.exp(log_density), 0), x)
        assert float(states.cdf(y)) == pytest.approx(expected, abs=1e-5)


def test_the_covariance_only_shifts():
    one = closed_form(Normal(*place(3)))
    other = closed_form(FAMILIES["multivariate normal"](3))
    assert one.variance == other.variance == 1.5
    covariance = np.linalg.slogdet(np.exp(0.6) * np.eye(3))[1]
    assert closed_form(Normal(jnp.zeros(3), jnp.full(3, 0.3))).mean == pytest.approx(
        -1.5 * math.log(2 * math.pi) - 0.5 * covariance - 1.5, rel=1e-6
    )


def test_many_degrees_of_freedom_are_normal():
    for df in (1e7, 1e9, 1e13):
        states = closed_form(StudentT.standard(1, df=df))
        u = np.linspace(0.01, 0.99, 50)
        np.testing.assert_allclose(states.quantile(u), closed_form(Normal.standard(1)).quantile(u), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["nice", "real_vp"])
def test_a_flow_of_constant_volume_has_the_density_of_states_of_its_base(recipe, x64):
    flow = randomised(flows.RECIPES[recipe](jax.random.key(0), 3, 4), jax.random.key(1), 0.5)
    scaled = Pushforward(flow, DiagonalAffine(jnp.zeros(3), jnp.array([0.5, -1.0, 0.2])))
    assert flow.bijection.volume is Volume.PRESERVING
    assert scaled.bijection.volume is Volume.CONSTANT
    base = closed_form(flow.base)
    for law, shift in ((flow, 0.0), (scaled, 0.3), (Pushforward(flow.base, Inverse(scaled.bijection)), -0.3)):
        states = closed_form(law)
        assert states.sample_size is None
        assert states.mean == pytest.approx(base.mean + shift, abs=1e-9)
        values = np.asarray(law.sample_and_log_prob(jax.random.key(2), (20_000,))[1])
        assert stats.kstest(values, states.cdf).pvalue > 1e-4


def test_no_closed_form():
    assert closed_form(flows.planar(jax.random.key(0), 2, 3)) is None
    mixture = Mixture(jnp.zeros(2), Normal(jnp.zeros((2, 3)), jnp.zeros((2, 3))))
    assert closed_form(mixture) is None
    assert closed_form(Pushforward(mixture, DiagonalAffine.identity(3))) is None
