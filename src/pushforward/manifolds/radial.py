"""Normal noise about a sphere, whose density depends on the distance from the centre alone."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from scipy.special import betaln

from pushforward.manifolds.gauss_legendre import log_integral, panels

Scalar = Float[Array, ""]


def log_shell(distance: Scalar, radius: Scalar, scale: Scalar, dim: int) -> Scalar:
    """Log-density in R^dim, at a distance from the centre, of a uniform point of a sphere plus N(0, scale^2 I).

    Averaging `exp(-|x - m|^2 / (2 scale^2))` over m leaves the normaliser of a von Mises-Fisher distribution of
    concentration `|x| |m| / scale^2` (Mardia & Jupp, 2000, "Directional statistics", equation 9.3.4).
    """
    log_normal = -0.5 * ((distance - radius) / scale) ** 2 - dim * (jnp.log(scale) + 0.5 * math.log(2 * math.pi))
    return log_normal + log_mean_cosine(distance * radius / scale**2, dim)


def log_mean_cosine(concentration: Scalar, dim: int) -> Scalar:
    """`log E exp(c (cos angle - 1))`, for the angle of a uniform point of the sphere in R^dim to an axis, dim >= 2.

    This is `log(Gamma(q + 1) (2 / c)^q I_q(c) exp(-c))`, `q = dim / 2 - 1`, for any c from 0 on. The integrand
    `sin^(dim - 2) exp(c cos)` is log-concave about its mode, where the second derivative of its log is
    `-sqrt((dim - 2)^2 + 4 c^2)`.
    """
    free = dim - 2
    root = jnp.hypot(jnp.asarray(free, concentration.dtype), 2 * concentration)
    mode = jnp.arctan2(jnp.sqrt(2 * free * (free + root)), 2 * concentration)
    reach = 14 / jnp.sqrt(jnp.maximum(root, 1))
    edges = jnp.stack([jnp.maximum(mode - reach, 0), mode, jnp.minimum(mode + reach, jnp.pi)])
    angle, weights = panels(jax.lax.stop_gradient(edges))
    log_measure = free * jnp.log(jnp.sin(angle)) if free else jnp.zeros_like(angle)
    log_integrand = log_measure - 2 * concentration * jnp.sin(angle / 2) ** 2
    return log_integral(log_integrand, weights) - float(betaln(0.5, 0.5 * (dim - 1)))
