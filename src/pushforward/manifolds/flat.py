"""Manifolds that fill the dimensions they lie in: a point, a segment, a disc."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.distributions import Distribution, SmoothStep, Uniform, VonMises
from pushforward.errors import UserError
from pushforward.manifolds.base import Manifold, positive
from pushforward.manifolds.gauss_legendre import log_integral
from pushforward.manifolds.noise import Noise, normal_panels
from pushforward.manifolds.radial import log_shell
from pushforward.safe import safe_norm
from pushforward.types import PRNGKeyArray

MAX_CONCENTRATION = 10.0


class Point(Manifold):
    """A single point, of dimension 0: what noise makes of it is the noise."""

    @property
    def dim(self) -> int:
        return 0

    @property
    def ambient_dim(self) -> int:
        return 0

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        return jnp.zeros((*shape, 0))

    def log_density(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        return jnp.zeros(points.shape[:-1])

    def log_convolution(self, x: Float[Array, " k"], noise: Noise, scale: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.zeros(())

    def admits(self, noise: Noise) -> bool:
        return True


class Segment(Manifold):
    """A segment of a line, with a density along it.

    Attributes:
        law: the density, a distribution in one dimension. Its logs differ by 20 at most: an integral against noise is
            cut where the noise has fallen by `exp(-40)`.
        breaks: ends of the pieces on which the density is smooth, from the start of the segment to its end: ascending,
            shape `(k,)`.

    Raises:
        ValueError: `law` is not in one dimension.
    """

    law: Distribution
    breaks: Float[Array, "... k"]

    def __check_init__(self) -> None:
        if self.law.shape != (1,):
            raise ValueError(f"expected a density of event shape (1,), got {self.law.shape}")

    @staticmethod
    def uniform(length: float = 1.0) -> "Segment":
        """The uniform density on a segment about 0.

        Raises:
            UserError: `length` is not positive.
        """
        edges = jnp.array([-0.5, 0.5]) * positive(length, "length")
        return Segment(Uniform(edges[:1], edges[1:]), edges)

    @staticmethod
    def von_mises(concentration: float = 0.5) -> "Segment":
        """The density of an angle in [-pi, pi] about 0.

        Raises:
            UserError: `concentration` is not between 0 and 10.
        """
        if not 0 < concentration <= MAX_CONCENTRATION:
            raise UserError(f"expected a concentration between 0 and {MAX_CONCENTRATION}, got {concentration}")
        law = VonMises(jnp.zeros(1), jnp.full(1, math.log(concentration)))
        return Segment(law, jnp.array([-math.pi, 0, math.pi]))

    @staticmethod
    def smooth_step() -> "Segment":
        """The density of `SmoothStep.standard`, on [-5, 5]."""
        return Segment(SmoothStep.standard(1), jnp.array([-5.0, 0.0, 2.0, 5.0]))

    @property
    def dim(self) -> int:
        return 1

    @property
    def ambient_dim(self) -> int:
        return 1

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        return self.law.sample(key, shape)

    def log_density(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        inside = (points >= self.breaks[0]) & (points <= self.breaks[-1])
        return jnp.where(inside[..., 0], self.law.log_prob(points), -jnp.inf)

    def log_convolution(self, x: Float[Array, " k"], noise: Noise, scale: Float[Array, ""]) -> Float[Array, ""]:
        def piece(low: Array, high: Array) -> tuple[Array, Array]:
            values, log_noise, weights = noise.quadrature((low - x[0]) / scale, (high - x[0]) / scale)
            along = jnp.clip(x[0] + scale * values, low, high)
            return log_noise + self.law.log_prob(along[:, None]), weights

        log_integrand, weights = jax.vmap(piece)(self.breaks[:-1], self.breaks[1:])
        return log_integral(log_integrand.ravel(), weights.ravel())

    def admits(self, noise: Noise) -> bool:
        return True


class Disc(Manifold):
    """The ball about 0 in R^dim, with the uniform density.

    Attributes:
        radius: of the ball.

    Raises:
        UserError: `dim` is below 2 (the disc of dimension 1 is a segment), or `radius` is not positive.
    """

    radius: Float[Array, "..."]
    _dim: int = eqx.field(static=True)

    def __init__(self, dim: int, radius: float = 1.0) -> None:
        if dim < 2:
            raise UserError(f"a disc has at least 2 dimensions, got {dim}; in one it is a segment")
        self.radius = positive(radius, "radius")
        self._dim = dim

    @property
    def dim(self) -> int:
        return self._dim

    @property
    def ambient_dim(self) -> int:
        return self.dim

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        key_direction, key_distance = jax.random.split(key)
        direction = jax.random.normal(key_direction, (*shape, self.dim), self.radius.dtype)
        share = jax.random.uniform(key_distance, (*shape, 1), self.radius.dtype)
        distance = self.radius * share ** (1 / self.dim)
        return distance * direction / jnp.linalg.norm(direction, axis=-1, keepdims=True)

    def log_density(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        inside = jnp.sum(points**2, axis=-1) <= self.radius**2
        log_unit_volume = 0.5 * self.dim * math.log(math.pi) - math.lgamma(0.5 * self.dim + 1)
        return jnp.where(inside, -log_unit_volume - self.dim * jnp.log(self.radius), -jnp.inf)

    def log_convolution(self, x: Float[Array, " k"], noise: Noise, scale: Float[Array, ""]) -> Float[Array, ""]:
        """Over shells of the ball: by the distance of `x` plus noise from 0, which has a log-concave density."""
        distance = safe_norm(x)
        centre = jnp.sqrt(distance**2 + (self.dim - 0.5) * scale**2)
        steps, weights = normal_panels(-centre / scale, (self.radius - centre) / scale)
        shells = jnp.clip(centre + scale * steps, jnp.finfo(x.dtype).tiny, self.radius)
        log_mass = math.log(self.dim) + (self.dim - 1) * jnp.log(shells / self.radius) + jnp.log(scale / self.radius)
        log_shells = jax.vmap(lambda shell: log_shell(distance, shell, scale, self.dim))(shells)
        return log_integral(log_mass + log_shells, weights)
