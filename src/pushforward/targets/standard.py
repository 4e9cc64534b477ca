"""Standard test densities with a known normaliser, most of them with exact samples."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray
from scipy.special import log_ndtr, logsumexp

from pushforward.distributions import NormalMixture
from pushforward.errors import UserError
from pushforward.quadrature import Box, log_integral
from pushforward.safe import safe_norm
from pushforward.targets.base import Target

LOG_2PI = math.log(2 * math.pi)


def rings(dim: int = 2) -> Target:
    """Three concentric rings of radii 1, 2 and 3 with Gaussian profiles of scale 0.15."""
    _only(dim, 2, "rings")
    radii, scale = np.array([1.0, 2.0, 3.0]), 0.15

    def log_density(z: Float[Array, "2"]) -> Float[Array, ""]:
        return jax.nn.logsumexp(-0.5 * ((safe_norm(z) - radii) / scale) ** 2)

    log_z = float(logsumexp([_log_ring_mass(radius, scale) for radius in radii]))
    return Target("rings", 2, log_density, log_z, _square(4))


def gaussian_grid(dim: int = 2) -> Target:
    """Nine Gaussians of scale 0.3 on a 3 x 3 grid of spacing 2."""
    _only(dim, 2, "gaussian-grid")
    centres = np.stack(np.meshgrid([-2.0, 0.0, 2.0], [-2.0, 0.0, 2.0]), axis=-1).reshape(-1, 2)
    return _mixture("gaussian-grid", centres, 0.3, _square(4))


def eight_gaussians(dim: int = 2) -> Target:
    """Eight Gaussians of scale 0.3 on a circle of radius 3."""
    _only(dim, 2, "eight-gaussians")
    angles = np.arange(8) * np.pi / 4
    return _mixture("eight-gaussians", 3 * np.stack([np.cos(angles), np.sin(angles)], axis=-1), 0.3, _square(5))


def moons(dim: int = 2) -> Target:
    """Two interleaved half rings of radius 1 and scale 0.1, with ends softened over 0.1.

    Each half is a ring times `sigmoid(+-y / 0.1)`; by symmetry it holds exactly half of the ring's mass.
    """
    _only(dim, 2, "moons")
    scale, softness = 0.1, 0.1
    centres = np.array([[-0.5, -0.25], [0.5, 0.25]])
    sides = np.array([1.0, -1.0])

    def log_density(z: Float[Array, "2"]) -> Float[Array, ""]:
        offsets = z[None] - centres
        rings = -0.5 * ((jax.vmap(safe_norm)(offsets) - 1) / scale) ** 2
        return jax.nn.logsumexp(rings + jax.nn.log_sigmoid(sides * offsets[:, 1] / softness))

    return Target("moons", 2, log_density, _log_ring_mass(1.0, scale), ((-2.2, 2.2), (-1.7, 1.7)))


def banana(dim: int = 2) -> Target:
    """`x1 ~ N(0, 1.5^2)`, `x2 ~ N(0.5 x1^2 - 1.125, 0.5^2)`: a curved, normalised density."""
    _only(dim, 2, "banana")
    width, curvature, thickness = 1.5, 0.5, 0.5

    def ridge(x1: Array) -> Array:
        return curvature * (x1**2 - width**2)

    def log_density(z: Float[Array, "2"]) -> Float[Array, ""]:
        return _log_normal(z[0], width) + _log_normal(z[1] - ridge(z[0]), thickness)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
        noise = jax.random.normal(key, (n, 2))
        x1 = width * noise[:, 0]
        return jnp.stack([x1, ridge(x1) + thickness * noise[:, 1]], axis=-1)

    return Target("banana", 2, log_density, 0.0, ((-8.0, 8.0), (-4.0, 28.0)), sample)


def funnel(dim: int = 2) -> Target:
    """`v ~ N(0, 3^2)`, then `x_i ~ N(0, exp(v))` for every other dimension (Neal, 2003, section 8)."""
    _at_least(dim, 2, "funnel")

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        v, x = z[0], z[1:]
        return _log_normal(v, 3.0) - 0.5 * jnp.sum((x * jnp.exp(-v / 2)) ** 2) - 0.5 * (dim - 1) * (v + LOG_2PI)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        noise = jax.random.normal(key, (n, dim))
        v = 3 * noise[:, :1]
        return jnp.concatenate([v, jnp.exp(v / 2) * noise[:, 1:]], axis=-1)

    return Target("funnel", dim, log_density, 0.0, sample=sample)


def correlated_gaussian(dim: int = 2) -> Target:
    """N(0, S) with `S_ij = 0.9^|i - j|`: a stationary autoregressive chain of unit variance."""
    _at_least(dim, 1, "correlated-gaussian")
    correlation = 0.9
    innovation = (1 - correlation**2) ** 0.5

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        return _log_normal(z[0], 1.0) + jnp.sum(_log_normal(z[1:] - correlation * z[:-1], innovation))

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        covariance = correlation ** np.abs(np.subtract.outer(np.arange(dim), np.arange(dim)))
        return jax.random.normal(key, (n, dim)) @ np.linalg.cholesky(covariance).T.astype(jnp.result_type(float))

    box = _square(5) if dim == 2 else None
    return Target("correlated-gaussian", dim, log_density, 0.0, box, sample)


def many_well(dim: int = 2) -> Target:
    """`D / 2` independent copies of `-x1^4 + 6 x1^2 + x1 / 2 - x2^2 / 2`: `2^(D/2)` modes of unequal mass.

    Noe et al., 2019, "Boltzmann generators"; the product as in Midgley et al., 2023, "Flow annealed importance
    sampling bootstrap".
    """
    if dim < 2 or dim % 2:
        raise UserError(f"many-well needs an even dimension of 2 or more, got {dim}")

    def well(x: Array) -> Array:
        return -(x**4) + 6 * x**2 + 0.5 * x

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        return jnp.sum(well(z[::2])) - 0.5 * jnp.sum(z[1::2] ** 2)

    log_pair = log_integral(lambda x: well(x[..., 0]), ((-4.0, 4.0),), 4000) + 0.5 * LOG_2PI
    box = ((-3.5, 3.5), (-6.0, 6.0)) if dim == 2 else None
    return Target("many-well", dim, log_density, dim // 2 * log_pair, box)


def student_t_mixture(dim: int = 2) -> Target:
    """Two equal multivariate Student-t components with 3 degrees of freedom, 6 apart along the diagonal."""
    _at_least(dim, 1, "student-t-mixture")
    degrees = 3.0
    centres = np.array([-3.0, 3.0])[:, None] * np.ones(dim) / dim**0.5
    constant = math.lgamma((degrees + dim) / 2) - math.lgamma(degrees / 2) - 0.5 * dim * math.log(degrees * math.pi)

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        squared = jnp.sum((z[None] - centres) ** 2, axis=-1)
        components = constant - 0.5 * (degrees + dim) * jnp.log1p(squared / degrees)
        return jax.nn.logsumexp(components) - math.log(2)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        key_component, key_normal, key_scale = jax.random.split(key, 3)
        component = jax.random.bernoulli(key_component, shape=(n,)).astype(int)
        scale = jnp.sqrt(degrees / (2 * jax.random.gamma(key_scale, degrees / 2, (n, 1))))
        return jnp.asarray(centres)[component] + scale * jax.random.normal(key_normal, (n, dim))

    return Target("student-t-mixture", dim, log_density, 0.0, _square(30) if dim == 2 else None, sample)


def _mixture(name: str, centres: np.ndarray, scale: float, box: Box) -> Target:
    count, dim = centres.shape
    mixture = NormalMixture(jnp.zeros(count), jnp.asarray(centres), jnp.full((count, dim), math.log(scale)))

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        return mixture.log_prob(z)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        return mixture.sample(key, (n,))

    return Target(name, dim, log_density, 0.0, box, sample)


def _square(half: float) -> Box:
    return ((-half, half), (-half, half))


def _log_normal(x: Array, scale: float) -> Array:
    return -0.5 * (x / scale) ** 2 - math.log(scale) - 0.5 * LOG_2PI


def _log_ring_mass(radius: float, scale: float) -> float:
    """Log of the integral over the plane of `exp(-((r - radius) / scale)^2 / 2)`."""
    centre = 2 * math.log(scale) - 0.5 * (radius / scale) ** 2
    rim = math.log(radius * scale) + 0.5 * LOG_2PI + float(log_ndtr(radius / scale))
    return LOG_2PI + float(logsumexp([centre, rim]))


def _only(dim: int, expected: int, name: str) -> None:
    if dim != expected:
        raise UserError(f"{name} is a density in {expected} dimensions, got --dim {dim}")


def _at_least(dim: int, least: int, name: str) -> None:
    if dim < least:
        raise UserError(f"{name} needs {least} or more dimensions, got {dim}")
