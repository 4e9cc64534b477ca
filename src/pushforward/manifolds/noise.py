"""The noise that thickens a manifold, and integrals against it.

Each kind has mean 0, variance 1 and independent dimensions, so that the scale of any of them is a standard deviation.
"""

import math
from abc import abstractmethod
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float
from scipy.special import betaln

from pushforward.distributions import Distribution, Normal, StudentT, Uniform
from pushforward.errors import UserError, nearest
from pushforward.manifolds.gauss_legendre import panels

Scalar = Float[Array, ""]

# A density falls by exp(-DROP) from its largest value in an interval to where an integral over the interval is cut.
DROP = 40.0


class Nodes(NamedTuple):
    """A rule of integration, with the noise as weight.

    Attributes:
        values: of the noise.
        log_density: of the noise there, in nats; in the variable that the rule is for.
        weights: of the rule.
    """

    values: Float[Array, " nodes"]
    log_density: Float[Array, " nodes"]
    weights: Float[Array, " nodes"]


class Noise(eqx.Module):
    """Independent noise of mean 0 and variance 1 in every dimension."""

    @abstractmethod
    def law(self, dim: int) -> Distribution:
        """The noise in `dim` dimensions."""

    def log_density(self, values: Float[Array, " D"], rounding: Scalar) -> Scalar:
        """Log-density of the noise in nats, at values that carry rounding errors of the given size.

        Args:
            values: of the noise, in units of its scale.
            rounding: uncertainty of the values.
        """
        return self.law(values.size).log_prob(values)

    @abstractmethod
    def quadrature(self, low: Scalar, high: Scalar) -> Nodes:
        """A rule for integrals over an interval, in one dimension, of the density of the noise times a smooth function.

        The interval may be far in the tail, and long.

        Args:
            low: end of the interval, in units of the scale.
            high: its other end.
        """


class NormalNoise(Noise):
    """Standard normal noise."""

    def law(self, dim: int) -> Distribution:
        return Normal.standard(dim)

    def quadrature(self, low: Scalar, high: Scalar) -> Nodes:
        values, weights = normal_panels(low, high)
        return Nodes(values, -0.5 * values**2 - 0.5 * math.log(2 * math.pi), weights)


class UniformNoise(Noise):
    """Uniform noise of variance 1: it lies between -sqrt(3) and sqrt(3).

    A value that rounding may have put beyond these edges counts as within them.
    """

    def law(self, dim: int) -> Distribution:
        edge = jnp.full(dim, math.sqrt(3))
        return Uniform(-edge, edge)

    def log_density(self, values: Float[Array, " D"], rounding: Scalar) -> Scalar:
        within = jnp.all(jnp.abs(values) <= math.sqrt(3) + rounding)
        return jnp.where(within, -values.size * math.log(2 * math.sqrt(3)), -jnp.inf)

    def quadrature(self, low: Scalar, high: Scalar) -> Nodes:
        edge = math.sqrt(3)
        values, weights = panels(jnp.stack([jnp.maximum(low, -edge), jnp.minimum(high, edge)]))
        return Nodes(values, jnp.full_like(values, -math.log(2 * edge)), weights)


class StudentTNoise(Noise):
    """Student-t noise, scaled to variance 1.

    Attributes:
        df: degrees of freedom.

    Raises:
        UserError: `df` is not above 2, so that there is no variance, or not finite.
    """

    df: float = eqx.field(static=True, default=5.0)

    def __check_init__(self) -> None:
        if not 2 < self.df < math.inf:
            raise UserError(f"Student-t noise of variance 1 has more than 2 degrees of freedom, got {self.df}")

    def law(self, dim: int) -> Distribution:
        log_scale = jnp.full(dim, 0.5 * math.log1p(-2 / self.df))
        return StudentT(jnp.zeros(dim), log_scale, trained=False, log_df=jnp.full(dim, math.log(self.df)))

    def quadrature(self, low: Scalar, high: Scalar) -> Nodes:
        """In `v`, where the noise is `sqrt(df - 2) sinh(v)` and v has density `cosh(v)^-df / B(1/2, df/2)`."""
        unit = math.sqrt(self.df - 2)
        low, high = jnp.arcsinh(low / unit), jnp.arcsinh(high / unit)
        near = jnp.clip(jnp.zeros_like(low), low, high)
        reach = math.acosh(math.exp(DROP / self.df))  # cosh(near + reach) >= cosh(near) cosh(reach)
        v, weights = panels(jnp.stack([jnp.maximum(low, near - reach), near, jnp.minimum(high, near + reach)]))
        log_cosh = jnp.logaddexp(v, -v) - math.log(2)
        return Nodes(unit * jnp.sinh(v), -self.df * log_cosh - float(betaln(0.5, 0.5 * self.df)), weights)


def normal_panels(low: Scalar, high: Scalar) -> tuple[Float[Array, " nodes"], Float[Array, " nodes"]]:
    """Nodes and weights for integrals over an interval of what falls off around 0 as `exp(-t^2 / 2)` or faster."""
    near = jnp.clip(jnp.zeros_like(low), low, high)
    reach = 2 * DROP / (jnp.abs(near) + jnp.sqrt(near**2 + 2 * DROP))
    # Offsets keep their digits where the interval is so far out that the reach is lost in the rounding of `near`.
    edges = jnp.stack([jnp.maximum(low - near, -reach), jnp.zeros_like(near), jnp.minimum(high - near, reach)])
    offsets, weights = panels(edges)
    return near + offsets, weights


NOISES: dict[str, type[Noise]] = {"normal": NormalNoise, "uniform": UniformNoise, "student-t": StudentTNoise}


def make_noise(name: str) -> Noise:
    """The noise called `name`, one of `NOISES`.

    Raises:
        UserError: there is no such noise.
    """
    if name not in NOISES:
        raise UserError(f"unknown noise {name!r}{nearest(name, NOISES)}")
    return NOISES[name]()
