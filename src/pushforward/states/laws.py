"""Continuous laws of log-densities in closed form. All are bounded above: `top` is the largest log-density."""

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

import numpy as np
from jaxtyping import Float
from scipy.integrate import cumulative_simpson, simpson
from scipy.interpolate import CubicHermiteSpline, PchipInterpolator
from scipy.special import (
    betainc,
    betaincc,
    betainccinv,
    betaincinv,
    betaln,
    digamma,
    gammaincc,
    gammainccinv,
    gammaln,
    i0e,
    polygamma,
)

from pushforward.states.continuous import Continuous, Side, Values

Bounded = TypeVar("Bounded", bound="BoundedLaw")

TABLE = 2**14 + 1
NEGLIGIBLE = 80.0  # nats below the top, where exp(-80) is left


@dataclass(frozen=True)
class BoundedLaw(Continuous):
    """A law of log-densities up to `top`."""

    top: float

    def shift(self: Bounded, offset: float) -> Bounded:
        return replace(self, top=self.top + offset)


@dataclass(frozen=True)
class GammaLaw(BoundedLaw):
    """`Y = top - G`, where G has the gamma distribution of scale 1: Normal, Laplace, generalized normal.

    Attributes:
        shape: of the gamma distribution.
    """

    shape: float

    @property
    def mean(self) -> float:
        return self.top - self.shape

    @property
    def variance(self) -> float:
        return self.shape

    def cdf(self, y: Values, side: Side = "right") -> Values:
        return gammaincc(self.shape, np.maximum(self.top - y, 0))

    def quantile(self, u: Values) -> Values:
        return self.top - gammainccinv(self.shape, u)

    def pdf(self, y: Values) -> Values:
        inside = y < self.top
        g = np.where(inside, self.top - y, 1)
        return np.where(inside, np.exp((self.shape - 1) * np.log(g) - g - gammaln(self.shape)), 0)


@dataclass(frozen=True)
class LogBetaLaw(BoundedLaw):
    """`Y = top + power log B`, where B has the beta distribution: Student-t, logistic.

    Attributes:
        a: first parameter of the beta distribution.
        b: second one.
        power: the factor of the logarithm.
    """

    a: float
    b: float
    power: float

    @property
    def mean(self) -> float:
        return float(self.top + self.power * (digamma(self.a) - digamma(self.a + self.b)))

    @property
    def variance(self) -> float:
        return float(self.power**2 * (polygamma(1, self.a) - polygamma(1, self.a + self.b)))

    def cdf(self, y: Values, side: Side = "right") -> Values:
        log_beta = np.minimum((y - self.top) / self.power, 0)
        # From above the tail, in terms of 1 - B: it keeps its digits where B is nearly 1.
        upper = betaincc(self.b, self.a, -np.expm1(log_beta))
        lower = np.where(log_beta < -600, self._lower_tail(log_beta), betainc(self.a, self.b, np.exp(log_beta)))
        return np.where(log_beta > -1, upper, lower)

    def quantile(self, u: Values) -> Values:
        complement = betainccinv(self.b, self.a, u)
        small = complement > 0.5
        beta = betaincinv(self.a, self.b, np.where(small, u, 0.5))
        with np.errstate(divide="ignore"):
            tail = (np.log(u) + math.log(self.a) + betaln(self.a, self.b)) / self.a
            lower = np.where(tail < -600, tail, np.log(beta))
        return self.top + self.power * np.where(small, lower, np.log1p(-np.where(small, 0, complement)))

    def pdf(self, y: Values) -> Values:
        inside = y < self.top
        log_beta = np.where(inside, (y - self.top) / self.power, -1)
        log_pdf = self.a * log_beta + (self.b - 1) * np.log(-np.expm1(log_beta)) - betaln(self.a, self.b)
        return np.where(inside, np.exp(log_pdf) / self.power, 0)

    def _lower_tail(self, log_beta: Values) -> Values:
        """`P(B <= exp(log_beta))` where B is too small for the floats and the other factor of its density is 1."""
        return np.exp(self.a * log_beta - math.log(self.a) - betaln(self.a, self.b))


@dataclass(frozen=True)
class CosineLaw(BoundedLaw):
    """`Y = top - kappa (1 - cos X)`, where X has the von Mises distribution about 0.

    The distribution function of |X| is integrated once, by Simpson's rule, and interpolated.

    Attributes:
        kappa: concentration.
    """

    kappa: float

    @cached_property
    def mean(self) -> float:
        return float(self.top - self._mean_depth)

    @cached_property
    def variance(self) -> float:
        depths = self._depth(self._angles)
        return float(simpson(self._density(self._angles) * (depths - self._mean_depth) ** 2, x=self._angles))

    def cdf(self, y: Values, side: Side = "right") -> Values:
        depth = np.clip(self.top - y, 0, 2 * self.kappa)
        angle = 2 * np.arcsin(np.sqrt(depth / (2 * self.kappa)))
        return np.asarray(np.clip(self._beyond_angle(np.minimum(angle, self._angles[-1])), 0, 1))

    def quantile(self, u: Values) -> Values:
        return self.top - self._depth(np.asarray(self._angle_quantile(u)))

    def pdf(self, y: Values) -> Values:
        inside = (y < self.top) & (y > self.top - 2 * self.kappa)
        depth = np.where(inside, self.top - y, self.kappa)
        slope = np.sqrt(depth * (2 * self.kappa - depth))
        return np.where(inside, np.exp(-depth) / (np.pi * i0e(self.kappa) * slope), 0)

    def _depth(self, angles: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        return 2 * self.kappa * np.sin(angles / 2) ** 2

    def _density(self, angles: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
        """Density of |X|."""
        return np.exp(-self._depth(angles)) / (np.pi * i0e(self.kappa))

    @cached_property
    def _angles(self) -> Float[np.ndarray, " n"]:
        return np.linspace(0, 2 * math.asin(min(1.0, NEGLIGIBLE / (2 * self.kappa)) ** 0.5), TABLE)

    @cached_property
    def _mean_depth(self) -> float:
        return float(simpson(self._density(self._angles) * self._depth(self._angles), x=self._angles))

    @cached_property
    def _beyond(self) -> Float[np.ndarray, " n"]:
        """`P(|X| >= angle)`, summed from the far end so that small ones keep their digits."""
        step = self._angles[1]
        beyond = cumulative_simpson(self._density(self._angles)[::-1], dx=step, initial=0)[::-1]
        return np.asarray(beyond / beyond[0])

    @cached_property
    def _beyond_angle(self) -> CubicHermiteSpline:
        return CubicHermiteSpline(self._angles, self._beyond, -self._density(self._angles))

    @cached_property
    def _angle_quantile(self) -> PchipInterpolator:
        return PchipInterpolator(self._beyond[::-1], self._angles[::-1])


@dataclass(frozen=True)
class GumbelLaw(BoundedLaw):
    """`Y = top + 1 + log E - E`, where E has the exponential distribution of scale 1: Gumbel.

    A log-density below the top has two roots E, one on each side of 1. In terms of their gap d they are
    `d / (exp(d) - 1)` and `d` more. The gap is tabulated; it is smooth in the square root of the depth below the top.
    """

    @property
    def mean(self) -> float:
        return self.top - np.euler_gamma

    @property
    def variance(self) -> float:
        return math.pi**2 / 6 - 1

    def cdf(self, y: Values, side: Side = "right") -> Values:
        return self._outside(*self._roots(self.top - y))

    def quantile(self, u: Values) -> Values:
        return self.top - self._depth(np.asarray(self._gap_quantile(u)))

    def pdf(self, y: Values) -> Values:
        inside = y < self.top
        depth = np.where(inside, self.top - y, 1)
        lower, upper = self._roots(depth)
        return np.where(inside, np.exp(-depth - 1) * (1 / (1 - lower) + 1 / (upper - 1)), 0)

    @staticmethod
    def _lower_root(gap: Values) -> Values:
        return np.where(gap > 0, gap / np.expm1(np.where(gap > 0, gap, 1)), 1)

    def _depth(self, gap: Values) -> Values:
        lower = self._lower_root(gap)
        return lower - 1 - np.log(lower)

    def _roots(self, depth: Values) -> tuple[Values, Values]:
        gap = np.maximum(self._gap_at(np.sqrt(np.clip(depth, 0, self._deepest))), 0)
        lower = self._lower_root(gap)
        return lower, lower + gap

    @staticmethod
    def _outside(lower: Values, upper: Values) -> Values:
        """`P(E <= lower) + P(E >= upper)`."""
        return -np.expm1(-lower) + np.exp(-upper)

    @property
    def _gaps(self) -> Float[np.ndarray, " n"]:
        return np.linspace(0, NEGLIGIBLE, TABLE)

    @cached_property
    def _deepest(self) -> float:
        return float(self._depth(self._gaps[-1:])[0])

    @cached_property
    def _gap_at(self) -> PchipInterpolator:
        return PchipInterpolator(np.sqrt(self._depth(self._gaps)), self._gaps)

    @cached_property
    def _gap_quantile(self) -> PchipInterpolator:
        lower = self._lower_root(self._gaps)
        return PchipInterpolator(self._outside(lower, lower + self._gaps)[::-1], self._gaps[::-1])


@dataclass(frozen=True)
class StepLaw(BoundedLaw):
    """`Y = top + log(l(V) / l(1))` for V of density proportional to `l(v) = offset + rise v^2 (3 - 2 v)`: smooth step.

    Attributes:
        offset: level of the density before the step, positive.
        rise: by how much the step rises, positive.
        start: where V begins, 0 or more.
        end: where V ends, 1 or less.
    """

    offset: float
    rise: float
    start: float = 0.0
    end: float = 1.0

    @cached_property
    def mean(self) -> float:
        return float(self._expectation(self._log_level(self._places)))

    @cached_property
    def variance(self) -> float:
        return float(self._expectation((self._log_level(self._places) - self.mean) ** 2))

    def cdf(self, y: Values, side: Side = "right") -> Values:
        return self._mass_below(self._place(y)) / self.total

    def quantile(self, u: Values) -> Values:
        return self._log_level(np.asarray(self._place_quantile(u)))

    def pdf(self, y: Values) -> Values:
        low, high = self._log_level(np.array([self.start, self.end]))
        inside = (y > low) & (y < high)
        place = np.where(inside, self._place(y), 0.5)
        slope = 6 * self.rise * place * (1 - place)
        return np.where(inside, self._level(place) ** 2 / np.where(slope > 0, slope, 1) / self.total, 0)

    def _level(self, place: Values) -> Values:
        return self.offset + self.rise * place**2 * (3 - 2 * place)

    def _log_level(self, place: Values) -> Values:
        return self.top + np.log(self._level(place) / (self.offset + self.rise))

    def _place(self, y: Values) -> Values:
        """Where the density has the logarithm `y`: the root of a cubic."""
        step = (np.exp(y - self.top) * (self.offset + self.rise) - self.offset) / self.rise
        place = 0.5 - np.sin(np.arcsin(1 - 2 * np.clip(step, 0, 1)) / 3)
        return np.asarray(np.clip(place, self.start, self.end))

    def _mass_below(self, place: Values) -> Values:
        def integral(v: Values) -> Values:
            return self.offset * v + self.rise * v**3 * (1 - v / 2)

        return np.asarray(integral(place) - integral(np.array([self.start])))

    @cached_property
    def total(self) -> float:
        """The integral of `l` between the ends."""
        return float(self._mass_below(np.array([self.end]))[0])

    @property
    def _places(self) -> Float[np.ndarray, " n"]:
        return np.linspace(self.start, self.end, TABLE)

    def _expectation(self, values: Float[np.ndarray, " n"]) -> float:
        return float(simpson(values * self._level(self._places), x=self._places)) / self.total

    @cached_property
    def _place_quantile(self) -> PchipInterpolator:
        return PchipInterpolator(self._mass_below(self._places) / self.total, self._places)
