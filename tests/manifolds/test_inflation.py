"""Inflated manifolds: samples, scales, rotations, precision, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import integrate, stats

from pushforward.errors import UserError
from pushforward.manifolds import (
    MANIFOLDS,
    NOISES,
    Disc,
    Point,
    Product,
    RingTorus,
    Segment,
    Sphere,
    StudentTNoise,
    SwissRoll,
    inflate,
    make,
)
from tests.checks import assert_finite, bin_masses, chi_square_p_value

STRAIGHT = ("point", "segment-uniform", "segment-von-mises", "segment-smooth-step")
ADMITTED = [(name, noise) for name in MANIFOLDS for noise in (NOISES if name in STRAIGHT else ("normal",))]
every_admitted = pytest.mark.parametrize(("name", "noise"), ADMITTED)


@eqx.filter_jit
def draw(law, count):
    return law.sample_and_log_prob(jax.random.key(0), (count,))


@eqx.filter_jit
def log_prob(law, x):
    return law.log_prob(x)


@eqx.filter_jit
def values_and_slopes(law, x):
    return jax.vmap(jax.value_and_grad(law.log_prob))(x)


@pytest.mark.long
@pytest.mark.parametrize(("name", "noise"), [pair for pair in ADMITTED if pair[0].startswith("segment")])
def test_samples_along_segments_follow_the_density(name, noise):
    """Chi-square on 40 bins to 1e-4; right samples fail one of the 9 cases with probability 1e-3."""
    law = inflate(make(name), 1, noise, scale=0.2)
    box = ((-6.0, 6.0),) if name == "segment-smooth-step" else ((-4.5, 4.5),)
    masses = bin_masses(law.log_prob, box, bins=40, fine=24)
    assert chi_square_p_value(draw(law, 20_000)[0], masses, box) > 1e-4


@pytest.mark.long
@pytest.mark.parametrize("manifold", [Sphere(1), Sphere(2), Sphere(30), Disc(2), Disc(30)], ids=repr)
def test_distances_from_the_centre_follow_the_density(manifold):
    """KS to 1e-4; right samples fail one of the 5 cases with probability 5e-4."""
    dim, scale = manifold.ambient_dim, 0.2
    law = inflate(manifold, dim, scale=scale)
    distances = np.linspace(1e-3, 1 + scale * (dim**0.5 + 5), 401)
    x = np.zeros((401, dim))
    x[:, 0] = distances
    log_area = np.log(2) + 0.5 * dim * np.log(np.pi) - jax.scipy.special.gammaln(0.5 * dim)
    density = np.exp(np.asarray(log_prob(law, jnp.asarray(x)) + log_area, np.float64)) * distances ** (dim - 1)
    cdf = integrate.cumulative_simpson(density, x=distances, initial=0)
    np.testing.assert_allclose(cdf[-1], 1, rtol=1e-4)
    samples = np.linalg.norm(draw(law, 20_000)[0], axis=-1)
    assert stats.kstest(samples, lambda r: np.interp(r, distances, cdf)).pvalue > 1e-4


@pytest.mark.long
def test_samples_of_a_ring_follow_the_density():
    """Chi-square on distance from the axis and height, to 1e-4."""
    law, box = inflate(RingTorus(), 3, scale=0.3), ((0.0, 4.5), (-2.4, 2.4))

    def log_density(x):
        embedded = jnp.stack([x[..., 0], jnp.zeros_like(x[..., 0]), x[..., 1]], axis=-1)
        return law.log_prob(embedded) + jnp.log(2 * jnp.pi * x[..., 0])

    masses = bin_masses(log_density, box, bins=10, fine=4)
    x = np.asarray(draw(law, 20_000)[0])
    samples = np.stack([np.hypot(x[:, 0], x[:, 1]), x[:, 2]], axis=-1)
    assert chi_square_p_value(samples, masses, box) > 1e-4


def test_samples_of_a_roll_follow_the_density():
    """Chi-square in the plane of the spiral, to 1e-4."""
    law, box = inflate(SwissRoll(), 3, scale=0.5), ((-16.0, 16.0), (-16.0, 16.0))

    def log_density(x):
        embedded = jnp.stack([x[..., 0], jnp.full_like(x[..., 0], 10.5), x[..., 1]], axis=-1)
        return law.log_prob(embedded) + jnp.log(21)

    masses = bin_masses(log_density, box, bins=16, fine=6)
    assert chi_square_p_value(np.asarray(draw(law, 20_000)[0])[:, [0, 2]], masses, box) > 1e-4


@pytest.mark.long
@pytest.mark.parametrize("noise", NOISES)
def test_noise_across_has_its_own_scale(noise, x64):
    """Its variance to 4 errors, its density by the parts; right samples fail one of the 6 checks at 4e-4."""
    law = inflate(Segment.uniform(), 4, noise, scale=0.2, normal_scale=0.03, rotation_seed=5)
    x, both = draw(law, 20_000)
    frame = np.asarray(x @ law.rotation)
    for values, variance in ((frame[:, 0], 1 / 12 + 0.2**2), (frame[:, 3], 0.03**2)):
        squares = (values - values.mean()) ** 2
        assert abs(squares.mean() - variance) < 4 * squares.std() / len(values) ** 0.5
    along = log_prob(inflate(Segment.uniform(), 1, noise, scale=0.2), jnp.asarray(frame[:50, :1]))
    across = log_prob(inflate(Point(), 3, noise, scale=0.03), jnp.asarray(frame[:50, 1:]))
    np.testing.assert_allclose(both[:50], along + across, rtol=1e-9, atol=1e-8)


def test_scales_are_standard_deviations():
    """To 4 errors of the variance; right noise fails one of the 4 cases with probability 3e-4."""
    for noise in (*NOISES, StudentTNoise(9.0)):
        x = np.asarray(draw(inflate(Point(), 2, noise, scale=0.1), 50_000)[0]) / 0.1
        assert abs(np.mean(x**2) - 1) < 4 * np.std(x**2) / x.size**0.5


def test_uniform_noise_has_the_width_that_matches_the_variance():
    x = np.asarray(draw(inflate(Point(), 1, "uniform", scale=0.1), 50_000)[0])
    np.testing.assert_allclose([x.min(), x.max()], [-np.sqrt(3) * 0.1, np.sqrt(3) * 0.1], rtol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "noise"),
    [("point", "uniform"), ("segment-smooth-step", "student-t"), ("sphere", "normal"), ("swiss-roll", "normal")],
)
def test_rotation_changes_nothing_but_the_frame(name, noise, x64):
    straight = inflate(make(name), 5, noise, scale=0.1)
    turned = inflate(make(name), 5, noise, scale=0.1, rotation_seed=1)
    (x, both), (y, both_turned) = draw(straight, 10), draw(turned, 10)
    np.testing.assert_allclose(y, x @ turned.rotation.T, rtol=1e-12)
    np.testing.assert_array_equal(both_turned, both)
    np.testing.assert_allclose(log_prob(turned, y), both, rtol=1e-9)


@every_admitted
@pytest.mark.long
def test_float32_at_a_small_scale_in_many_dimensions(name, noise):
    """On samples and 5 and 50 scales off, along the manifold and in all directions: finite, and right to rounding."""
    scale, dim = 1e-3, 196
    law = inflate(make(name), dim, noise, scale=scale, rotation_seed=2)
    x, both = draw(law, 6)
    direction = np.random.default_rng(0).normal(size=(6, dim))
    direction[:3] = law.rotation[:, 0]
    off = jnp.asarray(50 * scale * direction / np.linalg.norm(direction, axis=-1, keepdims=True), jnp.float32)
    points = jnp.concatenate([x, x + off / 10, x + off, x - off])
    values, slopes = values_and_slopes(law, points)
    assert_finite((both, values[:6], slopes))
    np.testing.assert_allclose(values[:6], both, rtol=1e-3)
    if noise != "uniform":
        with jax.enable_x64(True):
            exact = log_prob(inflate(make(name), dim, noise, scale=scale, rotation_seed=2), points.astype(float))
        np.testing.assert_allclose(values, exact, rtol=1e-3, atol=0.1)


@pytest.mark.long
@pytest.mark.parametrize(("name", "noise"), [pair for pair in ADMITTED if pair[1] != "uniform"])
def test_far_away_is_finite(name, noise):
    """In float32, at ten million scales."""
    k = max(1, make(name).ambient_dim)
    x = jnp.asarray(1e4 * np.random.default_rng(0).normal(size=(3, k)), jnp.float32)
    assert_finite(values_and_slopes(inflate(make(name), k, noise, scale=1e-3), x))


def test_samples_with_uniform_noise_stay_inside():
    """A rotation rounds a sample by more than the distance of some of its 196 coordinates from the edge."""
    law = inflate(Segment.smooth_step(), 196, "uniform", scale=1e-3, rotation_seed=0)
    x, both = draw(law, 5_000)
    assert_finite((both, log_prob(law, x)))
    assert log_prob(law, x[0] + 0.1) == -jnp.inf


@pytest.mark.parametrize("name", ["segment-von-mises", "sphere"])
def test_a_schedule_in_a_compiled_loop(name, x64):
    law = inflate(make(name), 4, scale=1.0, rotation_seed=0)
    schedule = optax.exponential_decay(0.5, transition_steps=2, decay_rate=0.1)
    x = jnp.full(4, 0.3)

    @jax.jit
    def losses():
        return jax.lax.scan(lambda _, step: (None, law.with_scale(schedule(step)).log_prob(x)), None, jnp.arange(3))[1]

    expected = [log_prob(inflate(make(name), 4, scale=float(schedule(k)), rotation_seed=0), x) for k in range(3)]
    np.testing.assert_allclose(losses(), expected, rtol=1e-9)


def test_scales_side_by_side(x64):
    scales = jnp.array([0.01, 0.1, 0.5])
    law = inflate(Segment.smooth_step(), 2, scale=1.0)
    x = jnp.array([0.4, 0.02])
    together = jax.jit(jax.vmap(lambda s: law.with_scale(s, 2 * s).log_prob(x)))(scales)
    each = [log_prob(inflate(Segment.smooth_step(), 2, scale=float(s), normal_scale=2 * float(s)), x) for s in scales]
    np.testing.assert_allclose(together, each, rtol=1e-12)


def test_product_is_its_factors(x64):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 6)))
    circles = log_prob(inflate(make("torus", 3), 6, scale=0.3), x)
    each = sum(log_prob(inflate(Sphere(1), 2, scale=0.3), x[:, i : i + 2]) for i in (0, 2, 4))
    np.testing.assert_allclose(circles, each, rtol=1e-12)


def test_embedded_points_are_the_samples_without_noise(x64):
    law = inflate(Sphere(1), 7, scale=0, rotation_seed=4)
    points = law.manifold.sample(jax.random.key(3), (5,))
    embedded = law.embed(points)
    np.testing.assert_allclose(jnp.linalg.norm(embedded, axis=-1), 1)
    np.testing.assert_allclose((embedded @ law.rotation)[:, :2], points, atol=1e-14)
    x = law.sample(jax.random.key(0), (5,))
    np.testing.assert_allclose((x @ law.rotation)[:, 2:], 0, atol=1e-14)
    np.testing.assert_allclose(jnp.linalg.norm(x, axis=-1), 1)


def test_noise_across_alone(x64):
    """A flat manifold with no noise along it has its own density there."""
    law = inflate(Segment.smooth_step(), 3, scale=0, normal_scale=0.1)
    x, both = draw(law, 5)
    along = law.manifold.log_density(x[:, :1])
    across = stats.norm.logpdf(x[:, 1:], scale=0.1).sum(axis=-1)
    np.testing.assert_allclose(both, along + across, rtol=1e-12)
    np.testing.assert_allclose(inflate(Segment.smooth_step(), 1, scale=0).log_prob(x[:, :1]), along, rtol=1e-12)


@pytest.mark.parametrize(
    "law", [lambda: inflate(Segment.uniform(), 2, scale=0), lambda: inflate(Sphere(1), 2, scale=0)]
)
def test_a_manifold_without_noise_has_samples_and_no_density(law):
    assert law().sample(jax.random.key(0), (3,)).shape == (3, 2)
    with pytest.raises(ValueError, match=r"without noise has no density in .*2 dimensions"):
        law().log_prob(jnp.zeros((3, 2)))


@pytest.mark.long
@every_admitted
@pytest.mark.parametrize("batch", [(), (2, 3), (0,)])
def test_shapes(name, noise, batch):
    law = inflate(make(name), 4, noise, scale=0.1)
    x, both = eqx.filter_eval_shape(lambda law: law.sample_and_log_prob(jax.random.key(0), batch), law)
    assert law.shape == (4,)
    assert (x.shape, both.shape) == ((*batch, 4), batch)
    with pytest.raises(ValueError, match=r"event shape \(4,\)"):
        law.log_prob(jnp.zeros(3))


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: inflate(Sphere(2), 3, "uniform", scale=0.1), "Sphere with UniformNoise is not known exactly"),
        (lambda: inflate(Disc(2), 3, "student-t", scale=0.1), "Disc with StudentTNoise is not known exactly"),
        (lambda: inflate(Product(Sphere(1), 2), 4, "uniform", scale=0.1), "Product with UniformNoise is not known"),
        (lambda: inflate(Sphere(2), 2, scale=0.1), "Sphere needs 3 dimensions or more, got 2"),
        (lambda: inflate(Point(), 0, scale=0.1), "Point needs 1 dimensions or more, got 0"),
        (lambda: inflate(Segment.uniform(), 2, "gauss", scale=0.1), "unknown noise 'gauss'"),
        (lambda: inflate(Segment.uniform(), 2, scale=-0.1), "a scale is 0 or a positive number, got -0.1"),
        (lambda: inflate(Segment.uniform(), 2, scale=float("nan")), "a scale is 0 or a positive number, got nan"),
        (lambda: inflate(Sphere(1), 3, scale=0.1, normal_scale=0.2), "Sphere is not flat"),
        (lambda: inflate(Sphere(1), 3, scale=0.1).with_scale(0.1, 0.2), "Sphere is not flat"),
        (lambda: StudentTNoise(2.0), "more than 2 degrees of freedom, got 2.0"),
    ],
)
def test_what_has_no_exact_density_is_refused(build, complaint):
    with pytest.raises(UserError) as error:
        build()
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
