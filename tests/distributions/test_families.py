"""What is particular to the families of base distributions: references, extremes, gradients through samples."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from pushforward.distributions import (
    FamilyMixture,
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Logistic,
    Mixture,
    MultivariateNormal,
    Normal,
    StudentT,
    VonMises,
)
from tests.checks import assert_finite, scaled

LOC, LOG_SCALE, EXTRA = np.array([0.5, -2.0, 1.0]), np.array([0.3, -1.0, 0.0]), np.array([-0.4, 0.8, 1.5])
SCALE = np.exp(LOG_SCALE)
LOGITS = np.array([[0.1, 0.4, -0.3], [-0.5, 0.2, 0.0], [0.3, 0.3, 0.9], [0.7, -1.0, 0.2]])
COMPONENT_LOCS = np.stack([LOC, -LOC, 2 * LOC, 0 * LOC])
TRIL = np.array([[0.3, 9.0, 9.0], [0.7, -0.5, 9.0], [-1.1, 0.4, 0.1]])
FACTOR = np.tril(TRIL, -1) + np.diag(np.exp(np.diag(TRIL)))


def place():
    """`(loc, log_scale)` in the dtype of the moment."""
    return jnp.asarray(LOC), jnp.asarray(LOG_SCALE)


def student_t():
    return StudentT(*place(), log_df=jnp.asarray(EXTRA))


def family_mixture():
    return FamilyMixture(jnp.asarray(LOGITS), (Normal(*place()), Laplace(*place()), Logistic(*place()), student_t()))


def mixture():
    components = Normal(jnp.asarray(COMPONENT_LOCS), jnp.asarray(np.stack([LOG_SCALE] * 4)))
    return Mixture(jnp.asarray(LOGITS[:, 0]), components)


def mixture_of_multivariate_normals():
    components = MultivariateNormal(jnp.asarray(COMPONENT_LOCS), jnp.asarray(np.stack([TRIL] * 4)))
    return Mixture(jnp.asarray(LOGITS[:, 0]), components)


def independent(law):
    return lambda x: law.logpdf(x).sum(axis=-1)


def family_mixture_reference(x):
    laws = (stats.norm, stats.laplace, stats.logistic, lambda *place: stats.t(np.exp(EXTRA), *place))
    densities = np.stack([law(LOC, SCALE).pdf(x) for law in laws])
    weights = special.softmax(LOGITS, axis=0)
    return np.log((weights[:, None] * densities).sum(axis=0)).sum(axis=-1)


def mixture_reference(logpdf):
    weights = special.softmax(LOGITS[:, 0])
    return lambda x: np.log(sum(w * np.exp(logpdf(x, loc)) for w, loc in zip(weights, COMPONENT_LOCS)))


def multivariate_reference(x, loc=LOC):
    return stats.multivariate_normal(loc, FACTOR @ FACTOR.T).logpdf(x)


# What builds the distribution, and its log-density by scipy.
REFERENCES = {
    "normal": (lambda: Normal(*place()), independent(stats.norm(LOC, SCALE))),
    "laplace": (lambda: Laplace(*place()), independent(stats.laplace(LOC, SCALE))),
    "logistic": (lambda: Logistic(*place()), independent(stats.logistic(LOC, SCALE))),
    "gumbel": (lambda: Gumbel(*place()), independent(stats.gumbel_r(LOC, SCALE))),
    "student-t": (student_t, independent(stats.t(np.exp(EXTRA), LOC, SCALE))),
    "generalized normal": (
        lambda: GeneralizedNormal(*place(), log_beta=jnp.asarray(EXTRA)),
        independent(stats.gennorm(np.exp(EXTRA), LOC, SCALE)),
    ),
    "multivariate normal": (lambda: MultivariateNormal(place()[0], jnp.asarray(TRIL)), multivariate_reference),
    "von mises": (lambda: VonMises(*place()), independent(stats.vonmises(SCALE, LOC))),
    "family mixture": (family_mixture, family_mixture_reference),
    "mixture": (mixture, mixture_reference(lambda x, loc: stats.norm(loc, SCALE).logpdf(x).sum(axis=-1))),
    "mixture of multivariate normals": (
        mixture_of_multivariate_normals,
        mixture_reference(multivariate_reference),
    ),
}
draw = eqx.filter_jit(lambda distribution, count: distribution.sample_and_log_prob(jax.random.key(0), (count,)))
log_prob_and_gradient = eqx.filter_jit(eqx.filter_value_and_grad(lambda arguments: arguments[0].log_prob(arguments[1])))
every_reference = pytest.mark.parametrize("name", REFERENCES)


@pytest.mark.long
@every_reference
def test_density_against_scipy(name, dtype):
    build, reference = REFERENCES[name]
    x = np.random.default_rng(0).uniform(-3, 3, size=(20, 3))
    tolerance = 1e-10 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(build().log_prob(jnp.asarray(x)), reference(x), rtol=tolerance, atol=tolerance)


@pytest.mark.long
@every_reference
@pytest.mark.parametrize("factor", [0, 1])
@pytest.mark.parametrize("sign", [-1, 1])
def test_extremes_are_finite_in_value_and_gradient(name, factor, sign):
    distribution = scaled(REFERENCES[name][0](), factor)
    largest = 1e4 if (name, sign) != ("gumbel", -1) else 80.0
    for size in (0, 1e-30, 1e-8, 1.0, largest):
        x = jnp.asarray(factor * LOC + sign * size * np.exp(factor * LOG_SCALE), jnp.float32)
        try:
            assert_finite(log_prob_and_gradient((distribution, x)))
        except AssertionError as error:
            raise AssertionError(f"inputs of size {size}: {error}") from None


def test_gumbel_ends_at_the_left():
    value, gradient = jax.value_and_grad(Gumbel.standard(1).log_prob)(jnp.array([-1e4]))
    assert value == -jnp.inf
    assert gradient == jnp.inf


@pytest.mark.parametrize("log_df", [-4.0, 0.0, 2.7, 5.0, 14.0, 30.0])
def test_student_t_keeps_its_digits_in_float32(log_df):
    law = StudentT(jnp.zeros(1), jnp.zeros(1), log_df=jnp.full(1, log_df))
    for x in (0.0, 1e-3, 3.0, 1e4, 1e30):
        expected = stats.t.logpdf(x, np.exp(np.float64(log_df)))
        np.testing.assert_allclose(law.log_prob(jnp.array([x])), expected, rtol=1e-5)


def test_generalized_normal_contains_the_laplace_and_the_normal(x64):
    x = jnp.linspace(-3, 3, 11)[:, None]
    laplace, normal = (GeneralizedNormal.standard(1, beta=beta) for beta in (1.0, 2.0))
    np.testing.assert_allclose(laplace.log_prob(x), Laplace.standard(1).log_prob(x), atol=1e-14)
    half = Normal(jnp.zeros(1), jnp.full(1, -0.5 * np.log(2)))
    np.testing.assert_allclose(normal.log_prob(x), half.log_prob(x), atol=1e-14)


@pytest.mark.long
@pytest.mark.parametrize(
    ("family", "field", "pdf"),
    [(StudentT, "log_df", stats.t.pdf), (GeneralizedNormal, "log_beta", stats.gennorm.pdf)],
)
@pytest.mark.parametrize("value", [-0.7, 0.4, 2.0])
def test_samples_differentiate_the_mean_in_their_shape(family, field, pdf, value, x64):
    """Against central differences of a quadrature; right gradients fail one of the 6 cases with probability 4e-5."""
    count, step = 4000, 1e-3

    def smooth(x):
        return np.exp(-0.5 * (x - 0.5) ** 2)

    def mean(value):
        points = np.linspace(-12, 12, 4001)
        return integrate.simpson(smooth(points) * pdf(points, np.exp(value)), x=points)

    def values(parameter):
        law = family(jnp.zeros(1), jnp.zeros(1), **{field: parameter})
        return jnp.exp(-0.5 * (law.sample(jax.random.key(0), (count,)) - 0.5) ** 2)[:, 0]

    expected = (mean(value + step) - mean(value - step)) / (2 * step)
    slopes = jax.jit(lambda value: jax.jvp(values, (value,), (jnp.ones(1),))[1])(jnp.array([value]))
    assert jnp.abs(jnp.mean(slopes) - expected) < 4.5 * jnp.std(slopes) / count**0.5 + 1e-5


def test_covariance_of_a_multivariate_normal(x64):
    covariance = jnp.asarray(FACTOR @ FACTOR.T)
    normal = MultivariateNormal.from_covariance(jnp.asarray(LOC), covariance)
    x = np.random.default_rng(0).uniform(-3, 3, size=(20, 3))
    np.testing.assert_allclose(normal.log_prob(jnp.asarray(x)), multivariate_reference(x), rtol=1e-10)
    jacobian = jax.jacobian(lambda loc: eqx.tree_at(lambda n: n.loc, normal, loc).sample(jax.random.key(0)))
    np.testing.assert_allclose(jacobian(normal.loc), np.eye(3))


CONCENTRATIONS = [1e-6, 1e-3, 0.1, 1.0, 10.0, 190.0, 210.0, 1e4, 1e6]


@pytest.mark.parametrize("concentration", CONCENTRATIONS)
class TestVonMises:
    def test_density_and_its_gradient(self, concentration, dtype):
        tolerance = 1e-9 if dtype == "float64" else 2e-4
        x = np.array([0.0, 1e-8, 0.5, 3.0]) / max(1, concentration**0.5)

        mean = special.i1e(concentration) / special.i0e(concentration)
        expected = (
            stats.vonmises.logpdf(x, concentration),
            concentration * np.sin(x),
            concentration * (np.cos(x) - mean),
        )
        law = VonMises(jnp.zeros(1), jnp.log(jnp.full(1, concentration)))
        for i, point in enumerate(x):
            value, (gradient, _) = log_prob_and_gradient((law, jnp.full(1, point)))
            actual = value, gradient.loc[0], gradient.log_concentration[0]
            np.testing.assert_allclose(actual, [each[i] for each in expected], rtol=tolerance, atol=tolerance)

    def test_samples(self, concentration, dtype):
        """The mean of `1 - cos`, which is `1 - I1 / I0`, to 4 errors, and a KS test to 1e-4.

        Right samples fail one of the 36 checks with probability 3e-3.
        """
        law = VonMises(jnp.zeros(1), jnp.log(jnp.full(1, concentration)))
        samples, _ = draw(law, 20_000)
        angles = np.asarray(samples[:, 0], np.float64)
        spread = 2 * np.sin(angles / 2) ** 2
        mean = 1 - special.i1e(concentration) / special.i0e(concentration)
        assert abs(np.mean(spread) - mean) < 4 * np.std(spread) / len(spread) ** 0.5
        assert stats.kstest(angles, stats.vonmises(concentration).cdf).pvalue > 1e-4


def test_von_mises_has_a_period(x64):
    law = VonMises(*place())
    x = jnp.linspace(-3, 3, 11)[:, None] + jnp.zeros((1, 3))
    for turns in (-3, 1, 7):
        np.testing.assert_allclose(law.log_prob(x + 2 * np.pi * turns), law.log_prob(x), rtol=1e-12)


def test_von_mises_samples_lie_in_one_period(dtype):
    loc, log_concentration = np.meshgrid([-40.0, -3.14159, 0.0, 3.14159, 1e3], [-14.0, 0.0, 14.0])
    law = VonMises(jnp.asarray(loc.ravel()), jnp.asarray(log_concentration.ravel()))
    samples, log_prob = draw(law, 5_000)
    assert jnp.all((samples >= -jnp.pi) & (samples < jnp.pi))
    assert_finite((log_prob, law.log_prob(samples)))


def test_von_mises_samples_differentiate_in_location_only():
    def gradient(law):
        return eqx.filter_grad(lambda law: jnp.sum(law.sample(jax.random.key(0))))(law)

    result = gradient(VonMises(jnp.array([0.3, 3.0]), jnp.zeros(2)))
    np.testing.assert_array_equal(result.loc, 1)
    np.testing.assert_array_equal(result.log_concentration, 0)


def test_von_mises_of_no_number_ends():
    assert jnp.all(jnp.isnan(VonMises(jnp.zeros(1), jnp.full(1, jnp.nan)).sample(jax.random.key(0), (3,))))


# The type checker of the suite takes these for legal: a leading axis may have any length.
@pytest.mark.parametrize(
    "build",
    [
        lambda short, long: Mixture(jnp.zeros(4), Normal(long, long)),
        lambda short, long: FamilyMixture(jnp.zeros((1, 2)), (Normal(long, long),)),
        lambda short, long: FamilyMixture(jnp.zeros((2, 2)), (Normal(short, short),)),
    ],
    ids=["mixture", "family mixture", "families"],
)
def test_shapes_that_disagree_are_refused(build):
    with pytest.raises(ValueError, match=r"shape"):
        build(jnp.zeros(2), jnp.zeros((3, 2)))
