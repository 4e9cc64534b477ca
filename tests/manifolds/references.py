"""Densities by brute force in NumPy and SciPy, in float64."""

import numpy as np
from scipy import special, stats

# Log-densities of the noise with variance 1, and of each segment with its ends and kinks.
NOISE = {
    "normal": stats.norm.logpdf,
    "uniform": stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)).logpdf,
    "student-t": stats.t(5, scale=np.sqrt(3 / 5)).logpdf,
}


def smooth_step(x):
    y = np.clip(x / 2, 0, 1)
    return np.log((1 + 10 * y**2 * (3 - 2 * y)) / 50)


SEGMENT = {
    "segment-uniform": (np.zeros_like, (-0.5, 0.5)),
    "segment-von-mises": (lambda x: stats.vonmises(0.5).logpdf(x), (-np.pi, np.pi)),
    "segment-smooth-step": (smooth_step, (-5.0, 0.0, 2.0, 5.0)),
}


def gauss_legendre(edges):
    """Points and weights of the composite rule with 16 nodes between neighbouring edges."""
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (1 + nodes)).ravel(), (half * weights).ravel()


def segment(density, breaks, noise, x, scale):
    """On panels that crowd about `x` and about the ends of every smooth piece."""
    edge = np.sqrt(3) * scale
    near = [x + scale * np.sinh(np.linspace(-12, 12, 200)), *(b + scale * np.linspace(-1, 1, 100) for b in breaks)]
    edges = np.sort(np.concatenate([*near, breaks, [x - edge, x + edge]]).clip(breaks[0], breaks[-1]))
    m, weights = gauss_legendre(edges)
    return special.logsumexp(density(m) + NOISE[noise]((x - m) / scale) - np.log(scale), b=weights)


def log_mean_cosine(concentration, dim):
    """`log E exp(c (cos - 1))` on the sphere in R^dim by the Bessel function, or by its series where c is small."""
    order = dim / 2 - 1
    if concentration > 50:
        bessel = np.log(special.ive(order, concentration))
        return bessel + special.gammaln(order + 1) + order * np.log(2 / concentration)
    k = np.arange(400)
    log_terms = 2 * k * np.log(concentration / 2) - special.gammaln(k + 1) - special.gammaln(order + 1 + k)
    return special.logsumexp(log_terms) + special.gammaln(order + 1) - concentration


def sphere(distance, scale, dim):
    """In R^dim, at a distance from the centre of the unit sphere."""
    log_normal = -0.5 * ((distance - 1) / scale) ** 2 - 0.5 * dim * np.log(2 * np.pi * scale**2)
    return log_normal + log_mean_cosine(distance / scale**2, dim)


def disc(distance, scale, dim):
    """The probability of a noncentral chi-square variable, over the volume of the unit ball."""
    log_volume = 0.5 * dim * np.log(np.pi) - special.gammaln(0.5 * dim + 1)
    return stats.ncx2.logcdf(scale**-2, dim, (distance / scale) ** 2) - log_volume


def ring_torus(x, scale, count):
    """By the trapezoidal rule over both angles."""
    around, tube = np.meshgrid(*[np.linspace(0, 2 * np.pi, count, endpoint=False)] * 2)
    distance = 2 + np.cos(tube)
    points = np.stack([distance * np.cos(around), distance * np.sin(around), np.sin(tube)], axis=-1)
    log_normal = stats.norm.logpdf((x - points) / scale).sum(axis=-1) - 3 * np.log(scale)
    return special.logsumexp(log_normal + np.log(distance / 2)) - 2 * np.log(count)


def swiss_roll(x, scale):
    """By 20,000 panels over the angle; the height by the difference of two normal distribution functions."""
    t, weights = gauss_legendre(np.linspace(1.5 * np.pi, 4.5 * np.pi, 20_001))
    plane = stats.norm.logpdf((x[0] - t * np.cos(t)) / scale) + stats.norm.logpdf((x[2] - t * np.sin(t)) / scale)
    log_plane = special.logsumexp(plane, b=weights) - 2 * np.log(scale)
    return log_plane - np.log(3 * np.pi * 21) + log_normal_mass((min(x[1], 21 - x[1]) - 21) / scale, 21 / scale)


def log_normal_mass(low, width):
    """Log-probability that a standard normal variable is between `low` and `low + width`, for `low` below 0."""
    log_high, log_low = stats.norm.logcdf(low + width), stats.norm.logcdf(low)
    return log_high + np.log1p(-np.exp(log_low - log_high))
