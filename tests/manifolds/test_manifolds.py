"""Manifolds without noise: their volume, their points, the densities on them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats

from pushforward.errors import UserError
from pushforward.manifolds import MANIFOLDS, Disc, Product, RingTorus, Segment, Sphere, SwissRoll, make, rotation

COUNT = 20_000


def roll_area():
    return 21 * integrate.quad(lambda t: np.sqrt(1 + t**2), 1.5 * np.pi, 4.5 * np.pi)[0]


def ball_volume(dim):
    return np.pi ** (dim / 2) / special.gamma(dim / 2 + 1)


# A manifold, its dimension, that of its space, and its volume.
MEASURES = {
    "point": (lambda: make("point"), 0, 0, 1),
    "segment": (lambda: Segment.uniform(3.0), 1, 1, 3),
    "von Mises segment": (Segment.von_mises, 1, 1, 2 * np.pi),
    "smooth step": (Segment.smooth_step, 1, 1, 10),
    "cube": (lambda: make("segment-uniform", 4), 4, 4, 1),
    "disc": (lambda: Disc(2, 2.0), 2, 2, 4 * np.pi),
    "ball": (lambda: Disc(7, 0.5), 7, 7, ball_volume(7) / 2**7),
    "circle": (lambda: make("circle"), 1, 2, 2 * np.pi),
    "sphere": (lambda: Sphere(2, 3.0), 2, 3, 36 * np.pi),
    "sphere of 9 dimensions": (lambda: Sphere(9), 9, 10, 10 * ball_volume(10)),
    "torus": (lambda: make("torus", 3), 3, 6, (2 * np.pi) ** 3),
    "ring torus": (lambda: RingTorus(3.0, 0.5), 2, 3, 6 * np.pi**2),
    "swiss roll": (SwissRoll, 2, 3, roll_area()),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", MEASURES)
def test_the_mean_of_one_over_the_density_is_the_volume(name, dtype):
    """To 4 errors and the rounding; right densities fail one of the 26 cases with probability 2e-3."""
    build, dim, ambient_dim, volume = MEASURES[name]
    manifold = build()
    points = jax.jit(lambda: manifold.sample(jax.random.key(0), (COUNT,)))()
    log_density = manifold.log_density(points)
    assert (manifold.dim, manifold.ambient_dim) == (dim, ambient_dim)
    assert manifold.flat == (dim == ambient_dim)
    assert points.shape == (COUNT, ambient_dim)
    assert {points.dtype, log_density.dtype} == {dtype}
    inverse = np.exp(-np.asarray(log_density, np.float64))
    error = 4 * inverse.std() / COUNT**0.5 + 1e4 * jnp.finfo(dtype).eps
    np.testing.assert_allclose(inverse.mean(), volume, rtol=1e-5, atol=error)


def draw(manifold):
    return np.asarray(jax.jit(lambda: manifold.sample(jax.random.key(1), (COUNT,)))(), np.float64)


def uniform_parts():
    """What is uniform on [0, 1] in samples of each manifold."""
    sphere = draw(Sphere(5, 2.0)) / 2
    np.testing.assert_allclose(np.linalg.norm(sphere, axis=-1), 1, rtol=1e-5)
    yield "coordinate of a sphere", stats.beta(0.5, 2.5).cdf(sphere[:, 2] ** 2)
    circle = draw(make("circle"))
    yield "angle of a circle", np.arctan2(circle[:, 1], circle[:, 0]) / (2 * np.pi) + 0.5
    disc = draw(Disc(3, 0.5))
    distance = np.linalg.norm(disc, axis=-1)
    yield "distance in a disc", (distance / 0.5) ** 3
    yield "direction in a disc", disc[:, 0] / distance / 2 + 0.5
    ring = draw(RingTorus(2.0, 1.5))
    outward = np.hypot(ring[:, 0], ring[:, 1]) - 2
    tube = np.arctan2(ring[:, 2], outward)
    np.testing.assert_allclose(np.hypot(outward, ring[:, 2]), 1.5, rtol=1e-5)
    yield "angle in a ring", (tube + np.pi + 0.75 * np.sin(tube)) / (2 * np.pi)
    yield "angle around a ring", np.arctan2(ring[:, 1], ring[:, 0]) / (2 * np.pi) + 0.5
    roll = draw(SwissRoll())
    t = np.hypot(roll[:, 0], roll[:, 2])
    np.testing.assert_allclose(roll[:, 0], t * np.cos(t), atol=1e-4)
    yield "angle of a roll", (t - 1.5 * np.pi) / (3 * np.pi)
    yield "height of a roll", roll[:, 1] / 21
    torus = draw(make("torus", 2))
    yield "last angle of a torus", np.arctan2(torus[:, 3], torus[:, 2]) / (2 * np.pi) + 0.5


def test_points_follow_the_density():
    """KS tests to 1e-4; right samplers fail one of the 9 with probability 1e-3."""
    for name, values in uniform_parts():
        assert stats.kstest(values, "uniform").pvalue > 1e-4, name


@pytest.mark.parametrize(("name", "variance"), [("von Mises segment", 0.114), ("smooth step", 0.567)])
def test_variance_of_the_log_density_along_segments(name, variance):
    """To 0.02, which is more than 4 errors."""
    manifold = MEASURES[name][0]()
    assert abs(np.var(manifold.log_density(jnp.asarray(draw(manifold)))) - variance) < 0.02


def test_off_the_ends_of_flat_manifolds():
    segment, disc = Segment.von_mises(), Disc(2)
    np.testing.assert_array_equal(segment.log_density(jnp.array([[-3.2], [3.2]])), -jnp.inf)
    np.testing.assert_array_equal(disc.log_density(jnp.array([[0.8, 0.8]])), -jnp.inf)
    np.testing.assert_array_equal(Product(segment, 2).log_density(jnp.array([[0.0, 3.2]])), -jnp.inf)


@pytest.mark.parametrize("dim", [1, 2, 3, 50])
def test_rotations(dim):
    turn = rotation(3, dim)
    np.testing.assert_allclose(turn.T @ turn, np.eye(dim), atol=1e-13)
    np.testing.assert_allclose(np.linalg.det(turn), 1)
    np.testing.assert_array_equal(turn, rotation(3, dim))
    assert dim == 1 or not np.allclose(turn, rotation(4, dim))


def test_rotations_have_no_preferred_angle():
    """KS to 1e-4 on the angle of 500 rotations of the plane."""
    angles = [np.arctan2(*rotation(seed, 2)[::-1, 0]) for seed in range(500)]
    assert stats.kstest(angles, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 1e-4


def test_every_name_makes_a_manifold():
    for name in MANIFOLDS:
        manifold = make(name)
        assert type(make(name, manifold.dim)) is type(manifold)
    for name in ("segment-uniform", "segment-von-mises", "segment-smooth-step", "disc", "sphere", "torus"):
        assert make(name, 5).dim == 5


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: make("sphre"), "unknown manifold 'sphre'; did you mean 'sphere'?"),
        (lambda: make("circle", 2), "a circle has dimension 1, got 2"),
        (lambda: make("point", 1), "a point has dimension 0, got 1"),
        (lambda: make("swiss-roll", 1), "a Swiss roll has dimension 2, got 1"),
        (lambda: make("sphere", 0), "a sphere has at least 1 dimension, got 0"),
        (lambda: make("disc", 1), "a disc has at least 2 dimensions, got 1"),
        (lambda: make("torus", 0), "a product has at least 1 factor, got 0"),
        (lambda: RingTorus(1.0, 2.0), "radii 0 < minor < major, got major 1.0, minor 2.0"),
        (lambda: Sphere(2, 0.0), "a radius is a positive number, got 0.0"),
        (lambda: Disc(2, float("nan")), "a radius is a positive number, got nan"),
        (lambda: Segment.uniform(-1.0), "a length is a positive number, got -1.0"),
        (lambda: Segment.von_mises(11.0), "a concentration between 0 and 10.0, got 11.0"),
        (lambda: Segment.von_mises(0.0), "a concentration between 0 and 10.0, got 0.0"),
    ],
)
def test_what_does_not_exist_is_refused(build, complaint):
    with pytest.raises(UserError) as error:
        build()
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)


def test_segment_with_a_density_of_the_plane_is_refused():
    law = Segment.uniform().law
    with pytest.raises(ValueError, match=r"event shape \(1,\)"):
        Segment(type(law)(jnp.zeros(2), jnp.ones(2)), jnp.array([0.0, 1.0]))
