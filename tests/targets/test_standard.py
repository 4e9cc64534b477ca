"""The standard targets: finite everywhere, normalised as they say, and sampled as their density says."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from pushforward.errors import UserError
from pushforward.quadrature import log_integral
from pushforward.targets import TARGETS, make
from tests.checks import bin_masses, chi_square_p_value

MANY_DIMENSIONS = ["funnel", "correlated-gaussian", "many-well", "student-t-mixture", "ten-student-t"]
EVERY = [(name, 2) for name in TARGETS] + [(name, dim) for name in MANY_DIMENSIONS for dim in (4, 10)]
every_target = pytest.mark.parametrize(("name", "dim"), EVERY)
SAMPLED = [name for name in TARGETS if (target := make(name)).sample is not None and target.box is not None]


@pytest.mark.long
@every_target
def test_finite_in_value_and_gradient(name, dim, dtype):
    target = make(name, dim)
    value_and_grad = jax.jit(jax.value_and_grad(target.log_density))
    directions = [np.ones(dim), np.arange(dim) == 0, np.arange(dim) == dim - 1, (-1.0) ** np.arange(dim)]
    for direction in directions:
        for size in (0, 1e-30, -1e-30, 1, -1, 10, -10, 1e4, -1e4):
            if name == "funnel" and size * direction[0] < -80:
                continue  # exp(-v) leaves float32: the density of a point off the axis is below its least number
            value, gradient = value_and_grad(jnp.asarray(size * direction, dtype))
            assert value.dtype == gradient.dtype == dtype
            assert jnp.isfinite(value), f"{value} at {size} {direction}"
            assert jnp.all(jnp.isfinite(gradient)), f"{gradient} at {size} {direction}"


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in TARGETS if make(name).box is not None])
def test_log_z_on_the_box(name, x64):
    """Student's t has heavy tails: 3e-4 of its mass lies outside the box."""
    target = make(name)
    tolerance = 5e-4 if name == "student-t-mixture" else 2e-5
    np.testing.assert_allclose(log_integral(target.log_densities, target.box, 1500), target.log_z, atol=tolerance)


@pytest.mark.long
@pytest.mark.parametrize("name", SAMPLED)
def test_samples_follow_the_density(name):
    """Chi-square over the box; a right sampler fails one of the 8 cases with probability 8e-4."""
    target = make(name)
    masses = bin_masses(lambda x: target.log_densities(x) - target.log_z, target.box, bins=30, fine=24)
    samples = target.sample(jax.random.key(0), 20_000)
    assert samples.shape == (20_000, 2)
    assert chi_square_p_value(samples, masses, target.box) > 1e-4


def test_what_can_be_sampled():
    assert {"rings", "moons", "checkerboard", "gaussian-grid", "eight-gaussians", "banana"} <= set(SAMPLED)


def test_radius_of_the_rings():
    """Against the closed form of its law; this KS test fails by chance with probability 1e-4."""
    scale = 0.15

    def below(r, radius):
        u, a = (r - radius) / scale, radius / scale
        normal = radius * np.sqrt(2 * np.pi) * (stats.norm.cdf(u) - stats.norm.cdf(-a))
        return normal - scale * (np.exp(-0.5 * u**2) - np.exp(-0.5 * a**2))

    masses = [below(np.inf, radius) for radius in (1, 2, 3)]
    samples = np.asarray(make("rings").sample(jax.random.key(3), 200_000), np.float64)
    cdf = lambda r: sum(below(r, radius) for radius in (1, 2, 3)) / sum(masses)  # noqa: E731
    assert stats.kstest(np.hypot(*samples.T), cdf).pvalue > 1e-4


def test_squares_of_the_checkerboard():
    """A square's middle has density 1 / 32 where it is dark and next to none where it is light."""
    target = make("checkerboard")
    middles = np.stack(np.meshgrid([-3, -1, 1, 3], [-3, -1, 1, 3]), axis=-1).astype(np.float32)
    expected = np.where(np.add.outer(np.arange(4), np.arange(4)) % 2 == 0, 1 / 32, 0)
    np.testing.assert_allclose(np.exp(target.log_densities(jnp.asarray(middles))), expected, rtol=1e-5, atol=1e-9)


def funnel_whitened(x):
    return np.concatenate([x[:, :1] / 3, x[:, 1:] * np.exp(-x[:, :1] / 2)], axis=-1)


def chain_whitened(x):
    return np.concatenate([x[:, :1], (x[:, 1:] - 0.9 * x[:, :-1]) / math.sqrt(1 - 0.81)], axis=-1)


@pytest.mark.parametrize("dim", [2, 4, 10])
@pytest.mark.parametrize(("name", "whiten"), [("funnel", funnel_whitened), ("correlated-gaussian", chain_whitened)])
def test_samples_are_whitened_by_the_definition(name, whiten, dim):
    """Every coordinate is N(0, 1) and no two are correlated; the 32 KS tests fail by chance with probability 3e-4."""
    noise = whiten(np.asarray(make(name, dim).sample(jax.random.key(1), 20_000), np.float64))
    assert min(stats.kstest(coordinate, "norm").pvalue for coordinate in noise.T) > 1e-5
    np.testing.assert_allclose(np.corrcoef(noise.T), np.eye(dim), atol=5 / math.sqrt(20_000))


@pytest.mark.parametrize("dim", [1, 4, 10])
def test_student_t_along_the_diagonal(dim):
    """There it is a mixture of two Student-t at -3 and 3; the 3 KS tests fail by chance with probability 3e-5."""
    samples = np.asarray(make("student-t-mixture", dim).sample(jax.random.key(2), 20_000), np.float64)
    along = samples.sum(axis=-1) / math.sqrt(dim)
    cdf = lambda x: 0.5 * (stats.t.cdf(x + 3, 3) + stats.t.cdf(x - 3, 3))  # noqa: E731
    assert stats.kstest(along, cdf).pvalue > 1e-5


def funnel_reference(x):
    return stats.norm.logpdf(x[0], 0, 3) + stats.norm.logpdf(x[1:], 0, np.exp(x[0] / 2)).sum()


def correlated_reference(x):
    covariance = 0.9 ** np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(x))))
    return stats.multivariate_normal.logpdf(x, cov=covariance)


def student_reference(x):
    centre = np.full(len(x), 3 / math.sqrt(len(x)))
    densities = [stats.multivariate_t.logpdf(x, sign * centre, np.eye(len(x)), df=3) for sign in (-1, 1)]
    return np.logaddexp(*densities) - math.log(2)


def many_well_reference(x):
    return sum(-(a**4) + 6 * a**2 + a / 2 - b**2 / 2 for a, b in x.reshape(-1, 2))


REFERENCES = {
    "funnel": funnel_reference,
    "correlated-gaussian": correlated_reference,
    "student-t-mixture": student_reference,
    "many-well": many_well_reference,
}


@pytest.mark.parametrize("dim", [2, 4, 10])
@pytest.mark.parametrize("name", REFERENCES)
def test_density_in_many_dimensions(name, dim, x64):
    target = make(name, dim)
    x = 2 * np.random.default_rng(0).normal(size=(20, dim))
    expected = [REFERENCES[name](point) for point in x]
    np.testing.assert_allclose(target.log_densities(jnp.asarray(x)), expected, rtol=1e-9)
    if name != "many-well":
        assert target.log_z == 0


@pytest.mark.parametrize("dim", [2, 4, 10])
def test_many_well_log_z(dim):
    well, _ = integrate.quad(lambda x: np.exp(-(x**4) + 6 * x**2 + x / 2), -5, 5, epsabs=0, epsrel=1e-12)
    expected = dim / 2 * (np.log(well) + 0.5 * np.log(2 * np.pi))
    np.testing.assert_allclose(make("many-well", dim).log_z, expected, rtol=1e-6)


@pytest.mark.long
@every_target
def test_batches_are_points_one_by_one(name, dim, x64):
    target = make(name, dim)
    x = jax.random.normal(jax.random.key(0), (2, 3, dim))
    each = [[target.log_density(point) for point in row] for row in x]
    np.testing.assert_allclose(target.log_densities(x), each, rtol=1e-9)


@pytest.mark.parametrize(("name", "dim"), [(name, 3) for name in TARGETS if name not in MANY_DIMENSIONS])
def test_a_plane_density_stays_in_the_plane(name, dim):
    with pytest.raises(UserError, match=f"{name} is a density in 2 dimensions"):
        make(name, dim)


@pytest.mark.parametrize(
    ("name", "dim"),
    [("funnel", 1), ("correlated-gaussian", 0), ("student-t-mixture", 0), ("many-well", 3), ("many-well", 0)],
)
def test_wrong_dimension_is_refused(name, dim):
    with pytest.raises(UserError, match=f"{name} needs .*, got {dim}"):
        make(name, dim)


def test_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match="unknown target 'bananna'; did you mean 'banana'"):
        make("bananna")
    with pytest.raises(UserError, match="there are u1, u2"):
        make("zzzzzz")


def test_a_named_target_brings_its_own_log_z():
    with pytest.raises(UserError, match="u1 brings its own log Z"):
        make("u1", log_z=1.0)


def test_draws_of_many_wells_have_its_moments(x64):
    """Each well against quadrature, by five standard errors; the wells are independent."""
    target = make("many-well", 32)
    x = np.asarray(target.sample(jax.random.key(0), 4000))
    density = lambda x: np.exp(-(x**4) + 6 * x**2 + 0.5 * x)  # noqa: E731
    mass, first, second = (integrate.quad(lambda x, k=k: x**k * density(x), -4, 4)[0] for k in range(3))
    wells, normals = x[:, ::2], x[:, 1::2]
    error = math.sqrt(second / mass - (first / mass) ** 2) / math.sqrt(wells.size)
    assert abs(wells.mean() - first / mass) < 5 * error
    np.testing.assert_allclose(normals.std(), 1, atol=5 / math.sqrt(2 * normals.size))
    correlations = np.corrcoef(wells.T)[np.triu_indices(16, 1)]
    assert np.abs(correlations).max() < 5 / math.sqrt(len(wells))


def test_every_mode_is_drawn():
    """By symmetry each of eight rings has an eighth of the draws, within five standard errors."""
    angles = np.arange(8) * np.pi / 4
    centres = {
        "forty-gaussians": np.random.default_rng(40).uniform(-40, 40, (40, 2)),
        "ten-student-t": np.random.default_rng(10).uniform(-10, 10, (10, 2)),
        "ring-of-rings": 5 * np.stack([np.cos(angles), np.sin(angles)], axis=-1),
    }
    for name, places in centres.items():
        x = np.asarray(make(name).sample(jax.random.key(0), 20_000))
        nearest = np.argmin(((x[:, None] - places) ** 2).sum(-1), axis=1)
        shares = np.bincount(nearest, minlength=len(places)) / len(x)
        assert shares.min() > 0.2 / len(places)
    assert np.abs(shares - 1 / 8).max() < 5 * math.sqrt(7 / 64 / len(x))


def test_draws_of_two_student_components_stay_as_they_were():
    """The toy data set of this name is drawn by it."""
    components = make("student-t-mixture").sample(jax.random.key(0), 8).sum(axis=1) > 0
    key_component = jax.random.split(jax.random.key(0), 3)[0]
    expected = jax.random.bernoulli(key_component, shape=(8,))
    assert np.mean(components == expected) > 0.8
