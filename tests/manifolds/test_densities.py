"""Densities of inflated manifolds against brute force and against one, in value and gradient."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from pushforward.manifolds import NOISES, Disc, RingTorus, Segment, Sphere, StudentTNoise, SwissRoll, inflate, make
from tests.manifolds import references

SCALES = [1e-3, 0.05, 1.0]
every_scale = pytest.mark.parametrize("scale", SCALES)


@eqx.filter_jit
def log_prob(law, x):
    return law.log_prob(x)


@eqx.filter_jit
def slopes(law, x):
    return jax.vmap(jax.grad(law.log_prob))(x)


def at_distance(distances, dim):
    """One point of R^dim at each distance from 0."""
    direction = np.random.default_rng(0).normal(size=dim)
    return jnp.asarray(np.outer(distances, direction / np.linalg.norm(direction)))


@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", references.SEGMENT)
class TestSegment:
    def points(self, name, scale, noise):
        breaks = references.SEGMENT[name][1]
        near = np.array([-1.6, -0.3, 0.0, 0.7, 1.7]) if noise == "uniform" else np.array([-50, -3, 0, 0.1, 2, 8])
        return np.concatenate([breaks[0] + scale * near, breaks[-1] + scale * near, [0.1, 0.4]])

    @pytest.mark.long
    @every_scale
    def test_against_brute_force(self, name, noise, scale, x64):
        x = self.points(name, scale, noise)
        actual = log_prob(inflate(make(name), 1, noise, scale=scale), jnp.asarray(x)[:, None])
        expected = [references.segment(*references.SEGMENT[name], noise, point, scale) for point in x]
        np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-8)

    @pytest.mark.long
    def test_gradient_is_the_slope(self, name, noise, x64):
        law = inflate(make(name), 1, noise, scale=0.05)
        x = jnp.asarray(self.points(name, 0.05, noise)[:, None])
        step = 1e-5
        expected = (log_prob(law, x + step) - log_prob(law, x - step)) / (2 * step)
        np.testing.assert_allclose(slopes(law, x)[:, 0], expected, rtol=1e-4, atol=1e-4)


def test_uniform_segment_in_closed_form(x64):
    """The difference of two error functions, taken in logs."""
    x, scale = np.array([0.0, 0.2, 0.49, 0.5, 0.55, 0.8, 1.0, 3.0]), 0.01
    actual = log_prob(inflate(Segment.uniform(), 1, scale=scale), jnp.asarray(x)[:, None])
    expected = references.log_normal_mass((-0.5 - x) / scale, 1 / scale)
    np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("df", [2.1, 3.0, 30.0, 1e4])
def test_uniform_segment_with_other_student_t_noise(df, x64):
    x, unit = np.array([0.0, 0.3, 0.499, 0.52, 0.6]), 0.01 * np.sqrt(1 - 2 / df)
    actual = log_prob(inflate(Segment.uniform(), 1, StudentTNoise(df), scale=0.01), jnp.asarray(x)[:, None])
    expected = np.log(stats.t.sf((x - 0.5) / unit, df) - stats.t.sf((x + 0.5) / unit, df))
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("concentration", [1e-3, 10.0])
@every_scale
def test_other_von_mises_segments(concentration, scale, x64):
    x = np.array([-3.0, 0.0, 0.02, 0.5, np.pi + 2 * scale])
    actual = log_prob(inflate(Segment.von_mises(concentration), 1, scale=scale), jnp.asarray(x)[:, None])
    law = stats.vonmises(concentration).logpdf, (-np.pi, np.pi)
    expected = [references.segment(*law, "normal", point, scale) for point in x]
    np.testing.assert_allclose(actual, expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("dim", [1, 2, 5, 36, 100])
@every_scale
def test_sphere_against_the_bessel_function(dim, scale, x64):
    distances = np.array([1e-3, 0.5, 1 - 3 * min(scale, 0.3), 1, 1 + scale, 1 + 50 * scale])
    actual = log_prob(inflate(Sphere(dim), dim + 1, scale=scale), at_distance(distances, dim + 1))
    expected = [references.sphere(distance, scale, dim + 1) for distance in distances]
    np.testing.assert_allclose(actual, expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("dim", [2, 3, 10, 100])
@every_scale
def test_disc_against_the_noncentral_chi_square(dim, scale, x64):
    distances = np.array([0, 0.5, 1 - 3 * min(scale, 0.3), 1, 1 + scale, 1 + 5 * scale])
    actual = log_prob(inflate(Disc(dim), dim, scale=scale), at_distance(distances, dim))
    np.testing.assert_allclose(actual, references.disc(distances, scale, dim), rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("scale", "count"), [(0.1, 700), (1.0, 200)])
def test_ring_torus_against_brute_force(scale, count, x64):
    x = np.array([[0.0, 0, 0], [2, 0, 0], [0.3, -0.4, 0.2], [3, 0, 0], [1.5, 1.5, 0.9], [0, -4, 1], [2, 0.1, -2]])
    expected = [references.ring_torus(point, scale, count) for point in x]
    actual = log_prob(inflate(RingTorus(), 3, scale=scale), jnp.asarray(x))
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("scale", [0.01, 0.3, 3.0])
def test_swiss_roll_against_brute_force(scale, x64):
    """On the roll and up to 20 scales off it, at its ends, at its axis and half way between two turns."""
    rng = np.random.default_rng(0)
    t = np.append([1.5 * np.pi, 4.5 * np.pi], rng.uniform(1.5 * np.pi, 4.5 * np.pi, 10))
    roll = np.stack([t * np.cos(t), rng.uniform(0, 21, 12), t * np.sin(t)], axis=-1)
    near = roll + scale * rng.choice([0, 1, 8], size=(12, 1)) * rng.normal(size=(12, 3))
    x = np.concatenate([near, [[0, 1, 0], [8, 20, 1], [-3, 3, 0.5], [0, 2, 12]]])
    expected = [references.swiss_roll(point, scale) for point in x]
    actual = log_prob(inflate(SwissRoll(), 3, scale=scale), jnp.asarray(x))
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.long
@pytest.mark.parametrize("build", [Sphere, Disc])
@pytest.mark.parametrize("dim", [2, 30])
@pytest.mark.parametrize("scale", [0.01, 0.4])
def test_round_densities_integrate_to_one(build, dim, scale, x64):
    law = inflate(build(dim), build(dim).ambient_dim, scale=scale)
    shells, log_masses = radial_masses(law, scale)
    np.testing.assert_allclose(integrate.simpson(np.exp(log_masses), x=shells), 1, rtol=1e-6)


def radial_masses(law, scale):
    """Distances from 0, and the log-densities of them."""
    (dim,) = law.shape
    reach = (1 + 100 * scale**2) ** 0.5 if dim < 10 else (1 + 4 * dim * scale**2) ** 0.5
    shells = np.linspace(1e-9, reach + 10 * scale, 4001)
    log_area = np.log(2) + 0.5 * dim * np.log(np.pi) - jax.scipy.special.gammaln(0.5 * dim)
    return shells, np.asarray(log_prob(law, at_distance(shells, dim)) + log_area + (dim - 1) * np.log(shells))


@pytest.mark.long
@pytest.mark.parametrize("noise", NOISES)
@pytest.mark.parametrize("name", references.SEGMENT)
def test_inflated_segments_integrate_to_one(name, noise, x64):
    """Along the segment in pieces between all kinks; the noise across it is checked with the distributions."""
    scale = 0.1
    law = inflate(make(name), 1, noise, scale=scale)
    kinks = {b + side * np.sqrt(3) * scale for b in references.SEGMENT[name][1] for side in (-1, 0, 1)}
    edges = np.sort([-30, 30, *kinks])
    nodes, weights = np.polynomial.legendre.leggauss(200)
    half = np.diff(edges)[:, None] / 2
    x = edges[:-1, None] + half * (1 + nodes)
    masses = half * weights * np.exp(log_prob(law, jnp.asarray(x.reshape(-1, 1)))).reshape(x.shape)
    np.testing.assert_allclose(masses.sum(), 1, rtol=1e-7 if noise != "student-t" else 1e-6)


def test_ring_torus_integrates_to_one(x64):
    distance, height = np.linspace(0, 5, 101), np.arange(-3, 3, 0.15)
    grid = np.stack(np.broadcast_arrays(distance[:, None], 0.0, height), axis=-1)
    density = np.exp(log_prob(inflate(RingTorus(), 3, scale=0.3), jnp.asarray(grid)))
    across = density.sum(axis=1) * 0.15 * 2 * np.pi * distance
    np.testing.assert_allclose(integrate.simpson(across, x=distance), 1, rtol=1e-6)


def test_swiss_roll_integrates_to_one(x64):
    """Over the plane at half the height, where the noise does not feel the ends."""
    side = np.linspace(-18, 18, 121)
    grid = np.stack(np.broadcast_arrays(side[:, None], 10.5, side), axis=-1)
    density = np.exp(log_prob(inflate(SwissRoll(), 3, scale=0.5), jnp.asarray(grid)))
    np.testing.assert_allclose(density.sum() * (side[1] - side[0]) ** 2 * 21, 1, rtol=1e-6)


def test_densities_of_noise_alone(x64):
    x = np.random.default_rng(0).normal(size=(5, 3)) * 0.2
    for noise, logpdf in references.NOISE.items():
        expected = (logpdf(x / 0.2) - np.log(0.2)).sum(axis=-1)
        np.testing.assert_allclose(log_prob(inflate(make("point"), 3, noise, scale=0.2), jnp.asarray(x)), expected)
