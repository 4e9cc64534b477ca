"""Manifolds that bend: spheres, the torus in space, the Swiss roll."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.errors import UserError
from pushforward.manifolds.base import Manifold, positive
from pushforward.manifolds.flat import Segment
from pushforward.manifolds.gauss_legendre import log_integral, panels
from pushforward.manifolds.noise import DROP, Noise
from pushforward.manifolds.radial import log_shell
from pushforward.safe import safe_norm
from pushforward.types import PRNGKeyArray

LOG_2PI = math.log(2 * math.pi)


class Sphere(Manifold):
    """The sphere S^dim about 0 in R^(dim + 1), with the uniform density; in one dimension the circle.

    Attributes:
        radius: of the sphere.

    Raises:
        UserError: `dim` is below 1, or `radius` is not positive.
    """

    radius: Float[Array, "..."]
    _dim: int = eqx.field(static=True)

    def __init__(self, dim: int, radius: float = 1.0) -> None:
        if dim < 1:
            raise UserError(f"a sphere has at least 1 dimension, got {dim}")
        self.radius = positive(radius, "radius")
        self._dim = dim

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def ambient_dim(self) -> int:
        return self.dim + 1

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        direction = jax.random.normal(key, (*shape, self.ambient_dim), self.radius.dtype)
        return self.radius * direction / jnp.linalg.norm(direction, axis=-1, keepdims=True)

    def log_density(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        half = 0.5 * self.ambient_dim
        log_area = math.log(2) + half * math.log(math.pi) - math.lgamma(half) + self.dim * jnp.log(self.radius)
        return jnp.full(points.shape[:-1], -log_area)

    def log_convolution(self, x: Float[Array, " k"], noise: Noise, scale: Float[Array, ""]) -> Float[Array, ""]:
        return log_shell(safe_norm(x), self.radius, scale, self.ambient_dim)


class RingTorus(Manifold):
    """The surface of a ring about the third axis of R^3, with the uniform density.

    Attributes:
        major: distance of the middle of the tube from the axis.
        minor: radius of the tube.

    Raises:
        UserError: `minor` is not between 0 and `major`.
    """

    major: Float[Array, "..."]
    minor: Float[Array, "..."]

    def __init__(self, major: float = 2.0, minor: float = 1.0) -> None:
        if not 0 < minor < major:
            raise UserError(f"a ring torus has radii 0 < minor < major, got major {major}, minor {minor}")
        self.major, self.minor = positive(major, "radius"), positive(minor, "radius")

    @property
    def dim(self) -> int:
        return 2

    @property
    def ambient_dim(self) -> int:
        return 3

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        key_around, key_tube, key_side = jax.random.split(key, 3)
        around, tube = (
            jax.random.uniform(key, shape, self.major.dtype, maxval=2 * jnp.pi) for key in (key_around, key_tube)
        )
        # Turning an angle to the other side of the tube with this probability leaves density 1 + minor / major cos.
        inward = jax.random.bernoulli(key_side, 0.5 - 0.5 * self.minor / self.major * jnp.cos(tube))
        tube = jnp.where(inward, tube + jnp.pi, tube)
        distance = self.major + self.minor * jnp.cos(tube)
        return jnp.stack([distance * jnp.cos(around), distance * jnp.sin(around), self.minor * jnp.sin(tube)], axis=-1)

    def log_density(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        return jnp.full(points.shape[:-1], -2 * LOG_2PI - jnp.log(self.major * self.minor))

    def log_convolution(self, x: Float[Array, " k"], noise: Noise, scale: Float[Array, ""]) -> Float[Array, ""]:
        """Over the circles about the axis: in the angle of the tube this is close to a von Mises density."""
        distance = safe_norm(x[:2])
        outward = distance - self.major
        concentration = jnp.hypot(outward, x[2]) * self.minor / scale**2
        nearest = jnp.arctan2(x[2], outward)
        reach = jnp.minimum(14 / jnp.sqrt(jnp.maximum(concentration, 1)), jnp.pi)
        offsets, weights = panels(jax.lax.stop_gradient(jnp.stack([-reach, jnp.zeros_like(reach), reach])))
        tube = jax.lax.stop_gradient(nearest) + offsets

        def log_circle(tube: Array) -> Array:
            radius = self.major + self.minor * jnp.cos(tube)
            height = (x[2] - self.minor * jnp.sin(tube)) / scale
            log_height = -0.5 * height**2 - jnp.log(scale) - 0.5 * LOG_2PI
            return jnp.log(radius / self.major) - LOG_2PI + log_shell(distance, radius, scale, 2) + log_height

        return log_integral(jax.vmap(log_circle)(tube), weights)


class SwissRoll(Manifold):
    """The points `(t cos t, h, t sin t)`, with t uniform on [3 pi / 2, 9 pi / 2] and h on [0, 21], as in scikit-learn.

    The density is not uniform on the surface: it is proportional to `1 / sqrt(1 + t^2)`.
    """

    START, END, HEIGHT = 1.5 * math.pi, 4.5 * math.pi, 21.0

    @property
    def dim(self) -> int:
        return 2

    @property
    def ambient_dim(self) -> int:
        return 3

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        key_angle, key_height = jax.random.split(key)
        t = jax.random.uniform(key_angle, shape, minval=self.START, maxval=self.END)
        height = jax.random.uniform(key_height, shape, maxval=self.HEIGHT)
        return jnp.stack([t * jnp.cos(t), height, t * jnp.sin(t)], axis=-1)

    def log_density(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        squared = points[..., 0] ** 2 + points[..., 2] ** 2
        return -math.log((self.END - self.START) * self.HEIGHT) - 0.5 * jnp.log1p(squared)

    def log_convolution(self, x: Float[Array, " k"], noise: Noise, scale: Float[Array, ""]) -> Float[Array, ""]:
        height = Segment.uniform(self.HEIGHT).log_convolution(x[1:2] - 0.5 * self.HEIGHT, noise, scale)
        return height + self._log_spiral(x[0], x[2], scale)

    def _log_spiral(self, x: Array, y: Array, scale: Array) -> Array:
        """Log-density in the plane of the spiral plus noise: the integral over t, turn by turn about the nearest point.

        A turn is centred where the spiral has the direction of the point, and reaches half way around to both sides.
        """
        distance = jax.lax.stop_gradient(safe_norm(jnp.stack([x, y])))
        direction = jax.lax.stop_gradient(jnp.arctan2(y, x))

        def along_turn(turn: Array) -> tuple[Array, Array]:
            centre = direction + 2 * jnp.pi * turn
            low = jnp.clip(centre - jnp.pi, self.START, self.END)
            high = jnp.clip(centre + jnp.pi, self.START, self.END)

            def half_square(t: Array) -> Array:
                return 0.5 * (t - distance) ** 2 + 2 * t * distance * jnp.sin((t - centre) / 2) ** 2

            slope, curvature = jax.grad(half_square), jax.grad(jax.grad(half_square))
            candidates = low + (high - low) * jnp.linspace(0, 1, 65, dtype=x.dtype)
            t = candidates[jnp.argmin(half_square(candidates))]
            for _ in range(4):
                t = jnp.clip(t - slope(t) / jnp.maximum(curvature(t), 1), low, high)
            steepness = jnp.abs(slope(t)) / scale**2
            bend = jnp.maximum(curvature(t), 1) / scale**2
            reach = 4 * DROP / (steepness + jnp.sqrt(steepness**2 + 2 * DROP * bend))
            edges = jnp.stack([jnp.maximum(low - t, -reach), jnp.zeros_like(t), jnp.minimum(high - t, reach)])
            offsets, weights = panels(jax.lax.stop_gradient(edges))
            along = jax.lax.stop_gradient(t) + offsets
            squared = ((x - along * jnp.cos(along)) / scale) ** 2 + ((y - along * jnp.sin(along)) / scale) ** 2
            return -0.5 * squared, weights

        # Directions lie in [-pi, pi]: these turns cover [pi, 5 pi] at least.
        log_integrand, weights = jax.vmap(along_turn)(jnp.arange(0, 4, dtype=x.dtype))
        log_mass = log_integral(log_integrand.ravel(), weights.ravel())
        return log_mass - math.log(self.END - self.START) - 2 * jnp.log(scale) - LOG_2PI
