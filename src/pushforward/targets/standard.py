"""Standard test densities with a known normaliser, most of them with exact samples."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from scipy.integrate import cumulative_simpson
from scipy.special import log_ndtr, logsumexp

from pushforward.distributions import Mixture, Normal
from pushforward.errors import UserError
from pushforward.quadrature import Box, log_integral
from pushforward.safe import safe_norm
from pushforward.targets.base import Target
from pushforward.types import PRNGKeyArray

LOG_2PI = math.log(2 * math.pi)
WELL_EDGES = 20_001


def rings(dim: int = 2) -> Target:
    """Three concentric rings of radii 1, 2 and 3 with Gaussian profiles of scale 0.15."""
    _only(dim, 2, "rings")
    radii, scale = np.array([1.0, 2.0, 3.0]), 0.15

    def log_density(z: Float[Array, "2"]) -> Float[Array, ""]:
        return jax.nn.logsumexp(-0.5 * ((safe_norm(z) - radii) / scale) ** 2)

    log_masses = np.array([_log_ring_mass(radius, scale) for radius in radii])

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
        key_ring, key_point = jax.random.split(key)
        ring = jax.random.categorical(key_ring, jnp.asarray(log_masses), shape=(n,))
        return _on_rings(key_point, jnp.asarray(radii)[ring], scale)

    return Target("rings", 2, log_density, float(logsumexp(log_masses)), _square(4), sample)


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


def forty_gaussians(dim: int = 2) -> Target:
    """Forty Gaussians of scale 1 with means drawn uniformly from [-40, 40]^2.

    As in Midgley et al., 2023, "Flow annealed importance sampling bootstrap", with means of our own drawing.
    """
    _only(dim, 2, "forty-gaussians")
    return _mixture("forty-gaussians", np.random.default_rng(40).uniform(-40, 40, (40, 2)), 1.0, _square(45))


def clusters(dim: int = 2) -> Target:
    """Three Gaussians of scale 0.4 on a circle of radius 2."""
    _only(dim, 2, "clusters")
    angles = np.pi / 2 + np.arange(3) * 2 * np.pi / 3
    return _mixture("clusters", 2 * np.stack([np.cos(angles), np.sin(angles)], axis=-1), 0.4, _square(4))


def ring_of_rings(dim: int = 2) -> Target:
    """Eight rings of radius 1 with Gaussian profiles of scale 0.1, their centres on a circle of radius 5."""
    _only(dim, 2, "ring-of-rings")
    scale, angles = 0.1, np.arange(8) * np.pi / 4
    centres = 5 * np.stack([np.cos(angles), np.sin(angles)], axis=-1)

    def log_density(z: Float[Array, "2"]) -> Float[Array, ""]:
        return jax.nn.logsumexp(-0.5 * ((jax.vmap(safe_norm)(z[None] - centres) - 1) / scale) ** 2)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
        key_ring, key_point = jax.random.split(key)
        centre = jnp.asarray(centres)[jax.random.randint(key_ring, (n,), 0, len(centres))]
        return centre + _on_rings(key_point, jnp.ones(n), scale)

    log_z = math.log(len(centres)) + _log_ring_mass(1.0, scale)
    return Target("ring-of-rings", 2, log_density, log_z, _square(7), sample, modes=centres)


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

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
        key_moon, key_point, key_kept = jax.random.split(key, 3)
        moon = jax.random.bernoulli(key_moon, shape=(n,)).astype(int)
        x, y = _on_rings(key_point, jnp.ones(n), scale).T
        kept = jax.random.bernoulli(key_kept, jax.nn.sigmoid(jnp.asarray(sides)[moon] * y / softness))
        return jnp.asarray(centres)[moon] + jnp.stack([x, jnp.where(kept, y, -y)], axis=-1)

    box = ((-2.2, 2.2), (-1.7, 1.7))
    return Target("moons", 2, log_density, _log_ring_mass(1.0, scale), box, sample)


def checkerboard(dim: int = 2) -> Target:
    """Uniform on the dark squares of a 4 x 4 board over [-4, 4]^2, blurred by logistic noise of scale 0.05.

    A uniform variable on `[a, b]` plus logistic noise of scale s has density `(sigmoid((x - a) / s) -
    sigmoid((x - b) / s)) / (b - a)`, and `sigmoid(u) - sigmoid(v) = sigmoid(u) sigmoid(-v) (1 - exp(v - u))`: in logs
    it is finite with its gradient everywhere, and its tails are exponential.
    """
    _only(dim, 2, "checkerboard")
    edges, side, scale = np.array([-4.0, -2.0, 0.0, 2.0]), 2.0, 0.05
    dark = np.argwhere(np.add.outer(np.arange(4), np.arange(4)) % 2 == 0)
    log_height = math.log(-math.expm1(-side / scale)) - math.log(side)

    def log_density(z: Float[Array, "2"]) -> Float[Array, ""]:
        above = (z[:, None] - edges[None]) / scale
        strips = jax.nn.log_sigmoid(above) + jax.nn.log_sigmoid(side / scale - above) + log_height
        return jax.nn.logsumexp(strips[0, dark[:, 0]] + strips[1, dark[:, 1]]) - math.log(len(dark))

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n 2"]:
        key_square, key_uniform, key_noise = jax.random.split(key, 3)
        corner = jnp.asarray(edges[dark])[jax.random.randint(key_square, (n,), 0, len(dark))]
        inside = side * jax.random.uniform(key_uniform, (n, 2))
        return corner + inside + scale * jax.random.logistic(key_noise, (n, 2))

    return Target("checkerboard", 2, log_density, 0.0, _square(5), sample)


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
    sampling bootstrap". Draws of a well invert its distribution function, between edges 1/2,500 apart by lines.
    """
    if dim < 2 or dim % 2:
        raise UserError(f"many-well needs an even dimension of 2 or more, got {dim}")

    def well(x: Array) -> Array:
        return -(x**4) + 6 * x**2 + 0.5 * x

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        return jnp.sum(well(z[::2])) - 0.5 * jnp.sum(z[1::2] ** 2)

    edges = np.linspace(-4, 4, WELL_EDGES)
    cumulative = cumulative_simpson(np.exp(-(edges**4) + 6 * edges**2 + 0.5 * edges), x=edges, initial=0)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        key_wells, key_normals = jax.random.split(key)
        shares = jax.random.uniform(key_wells, (n, dim // 2))
        wells = jnp.interp(shares, jnp.asarray(cumulative / cumulative[-1]), jnp.asarray(edges))
        return jnp.stack([wells, jax.random.normal(key_normals, wells.shape)], axis=-1).reshape(n, dim)

    log_pair = log_integral(lambda x: well(x[..., 0]), ((-4.0, 4.0),), 4000) + 0.5 * LOG_2PI
    box = ((-3.5, 3.5), (-6.0, 6.0)) if dim == 2 else None
    return Target("many-well", dim, log_density, dim // 2 * log_pair, box, sample)


def student_t_mixture(dim: int = 2) -> Target:
    """Two equal multivariate Student-t components with 3 degrees of freedom, 6 apart along the diagonal."""
    _at_least(dim, 1, "student-t-mixture")
    centres = np.array([-3.0, 3.0])[:, None] * np.ones(dim) / dim**0.5
    return _student_t_mixture("student-t-mixture", centres, 3.0, _square(30) if dim == 2 else None)


def ten_student_t(dim: int = 2) -> Target:
    """Ten equal multivariate Student-t components with 2 degrees of freedom, centres drawn uniformly from [-10, 10]^D.

    After Blessing et al., 2024, "Beyond ELBOs: a large-scale evaluation of variational methods for sampling", with
    centres of our own drawing.
    """
    _at_least(dim, 1, "ten-student-t")
    return _student_t_mixture("ten-student-t", np.random.default_rng(10).uniform(-10, 10, (10, dim)), 2.0, None)


def _student_t_mixture(name: str, centres: np.ndarray, degrees: float, box: Box | None) -> Target:
    count, dim = centres.shape
    constant = math.lgamma((degrees + dim) / 2) - math.lgamma(degrees / 2) - 0.5 * dim * math.log(degrees * math.pi)

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        squared = jnp.sum((z[None] - centres) ** 2, axis=-1)
        components = constant - 0.5 * (degrees + dim) * jnp.log1p(squared / degrees)
        return jax.nn.logsumexp(components) - math.log(count)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        key_component, key_normal, key_scale = jax.random.split(key, 3)
        component = count - 1 - jnp.floor(count * jax.random.uniform(key_component, (n,))).astype(int)
        scale = jnp.sqrt(degrees / (2 * jax.random.gamma(key_scale, degrees / 2, (n, 1))))
        return jnp.asarray(centres)[component] + scale * jax.random.normal(key_normal, (n, dim))

    return Target(name, dim, log_density, 0.0, box, sample, modes=centres)


def _mixture(name: str, centres: np.ndarray, scale: float, box: Box) -> Target:
    count, dim = centres.shape
    components = Normal(jnp.asarray(centres), jnp.full((count, dim), math.log(scale)))
    mixture = Mixture(jnp.zeros(count), components)

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        return mixture.log_prob(z)

    def sample(key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        return mixture.sample(key, (n,))

    return Target(name, dim, log_density, 0.0, box, sample, modes=centres)


def _square(half: float) -> Box:
    return ((-half, half), (-half, half))


def _log_normal(x: Array, scale: float) -> Array:
    return -0.5 * (x / scale) ** 2 - math.log(scale) - 0.5 * LOG_2PI


def _log_ring_mass(radius: float, scale: float) -> float:
    """Log of the integral over the plane of `exp(-((r - radius) / scale)^2 / 2)`."""
    centre = 2 * math.log(scale) - 0.5 * (radius / scale) ** 2
    rim = math.log(radius * scale) + 0.5 * LOG_2PI + float(log_ndtr(radius / scale))
    return LOG_2PI + float(logsumexp([centre, rim]))


def _on_rings(key: PRNGKeyArray, radii: Float[Array, " n"], scale: float) -> Float[Array, "n 2"]:
    """One point from each of n rings, with density proportional to `exp(-((r - radius) / scale)^2 / 2)`.

    The radius r has density proportional to `(1 + u / a) phi(u)` with `u = (r - radius) / scale > -a` and `a = radius /
    scale`. So |u| is half normal and its sign is + with probability `(1 + |u| / a) / 2`, but for `|u| > a`: that
    changes the law by less than `phi(a)`, which is 1e-10 for the narrowest ring here, a = 6.7.
    """
    key_offset, key_sign, key_angle = jax.random.split(key, 3)
    offset = scale * jnp.abs(jax.random.normal(key_offset, radii.shape))
    outside = jax.random.bernoulli(key_sign, jnp.clip(0.5 + 0.5 * offset / radii, 0, 1))
    r = radii + jnp.where(outside, offset, -offset)
    angle = 2 * jnp.pi * jax.random.uniform(key_angle, radii.shape)
    return r[:, None] * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1)


def _only(dim: int, expected: int, name: str) -> None:
    if dim != expected:
        raise UserError(f"{name} is a density in {expected} dimensions, got --dim {dim}")


def _at_least(dim: int, least: int, name: str) -> None:
    if dim < least:
        raise UserError(f"{name} needs {least} or more dimensions, got {dim}")
