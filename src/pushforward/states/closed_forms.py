"""Densities of states in closed form; `docs/density-of-states.md` derives every one."""

import math
from functools import singledispatch

import jax
import numpy as np
from scipy.special import betaln, gammaln, i0e

from pushforward.bijections import Volume
from pushforward.distributions import (
    Distribution,
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Logistic,
    MultivariateNormal,
    Normal,
    Pushforward,
    SmoothStep,
    StudentT,
    Uniform,
    VonMises,
)
from pushforward.states.convolution import convolve
from pushforward.states.density import DensityOfStates
from pushforward.states.laws import CosineLaw, GammaLaw, GumbelLaw, LogBetaLaw, StepLaw

LARGEST_DF = 1e8


@singledispatch
def closed_form(distribution: Distribution) -> DensityOfStates | None:
    """The exact density of states of a distribution, or None where none is known.

    There is one for Normal, MultivariateNormal, Laplace, GeneralizedNormal and Uniform in any dimension; for StudentT,
    Logistic, Gumbel, VonMises and SmoothStep in one dimension, and from there by convolution; and for a `Pushforward`
    whose bijection has a constant determinant, from that of its base.

    Args:
        distribution: one distribution, not an ensemble.
    """
    return None


@closed_form.register(Normal)
def _normal(normal: Normal) -> DensityOfStates:
    dim = normal.shape[0]
    return DensityOfStates.smooth(GammaLaw(-_total(normal.log_scale) - 0.5 * dim * math.log(2 * math.pi), dim / 2))


@closed_form.register(MultivariateNormal)
def _multivariate_normal(normal: MultivariateNormal) -> DensityOfStates:
    dim = normal.shape[0]
    log_det = _total(np.diag(normal.raw_tril))
    return DensityOfStates.smooth(GammaLaw(-log_det - 0.5 * dim * math.log(2 * math.pi), dim / 2))


@closed_form.register(Laplace)
def _laplace(laplace: Laplace) -> DensityOfStates:
    dim = laplace.shape[0]
    return DensityOfStates.smooth(GammaLaw(-_total(laplace.log_scale) - dim * math.log(2), float(dim)))


@closed_form.register(GeneralizedNormal)
def _generalized_normal(law: GeneralizedNormal) -> DensityOfStates:
    inverse_beta = np.exp(-np.asarray(law.log_beta, np.float64))
    top = -_total(law.log_scale) - np.sum(gammaln(1 + inverse_beta) + math.log(2))
    return DensityOfStates.smooth(GammaLaw(float(top), float(inverse_beta.sum())))


@closed_form.register(Uniform)
def _uniform(uniform: Uniform) -> DensityOfStates:
    return DensityOfStates.atom(-_total(np.log(np.asarray(uniform.high, np.float64) - np.asarray(uniform.low))))


@closed_form.register(Logistic)
def _logistic(logistic: Logistic) -> DensityOfStates:
    part = DensityOfStates.smooth(LogBetaLaw(-math.log(4), 1.0, 0.5, 1.0))
    return convolve([part], [logistic.shape[0]]).shift(-_total(logistic.log_scale))


@closed_form.register(Gumbel)
def _gumbel(gumbel: Gumbel) -> DensityOfStates:
    part = DensityOfStates.smooth(GumbelLaw(-1.0))
    return convolve([part], [gumbel.shape[0]]).shift(-_total(gumbel.log_scale))


@closed_form.register(StudentT)
def _student_t(student: StudentT) -> DensityOfStates:
    degrees, counts = np.unique(np.exp(np.asarray(student.log_df, np.float64)), return_counts=True)
    parts = [DensityOfStates.smooth(_student_t_law(float(df))) for df in degrees]
    return convolve(parts, counts.tolist()).shift(-_total(student.log_scale))


def _student_t_law(df: float) -> GammaLaw | LogBetaLaw:
    if df > LARGEST_DF:  # a Normal, to 1e-8
        return GammaLaw(-0.5 * math.log(2 * math.pi), 0.5)
    return LogBetaLaw(float(-betaln(0.5, df / 2) - 0.5 * math.log(df)), df / 2, 0.5, (df + 1) / 2)


@closed_form.register(VonMises)
def _von_mises(law: VonMises) -> DensityOfStates:
    kappas, counts = np.unique(np.exp(np.asarray(law.log_concentration, np.float64)), return_counts=True)
    tops = -np.log(2 * np.pi * i0e(kappas))
    parts = [DensityOfStates.smooth(CosineLaw(float(top), float(kappa))) for top, kappa in zip(tops, kappas)]
    return convolve(parts, counts.tolist())


@closed_form.register(SmoothStep)
def _smooth_step(law: SmoothStep) -> DensityOfStates:
    parameters = np.stack([np.asarray(each, np.float64) for each in jax.tree.leaves(law)], axis=-1)
    rows, counts = np.unique(parameters, axis=0, return_counts=True)
    return convolve([_smooth_step_part(*row) for row in rows.tolist()], counts.tolist())


def _smooth_step_part(start: float, end: float, offset: float, rise: float, growth: float) -> DensityOfStates:
    """Atoms at the two levels, where the interval reaches them, and the rise in between."""
    below, above = max(0.0, min(end, 0.0) - start), max(0.0, end - max(start, 1 / growth))
    masses = np.array([below * offset, above * (offset + rise)])
    low, high = np.clip([growth * start, growth * end], 0, 1)
    law = StepLaw(0.0, offset, rise, float(low), float(high)) if low < high else None
    risen = 0.0 if law is None else law.total / growth
    mass = float(masses.sum()) + risen
    levels = np.log([offset, offset + rise]) - math.log(mass)
    kept = masses > 0
    continuous = None if law is None else law.shift(float(levels[1]))
    return DensityOfStates(levels[kept], masses[kept] / mass, continuous)


@closed_form.register(Pushforward)
def _pushforward(flow: Pushforward) -> DensityOfStates | None:
    if flow.bijection.volume is Volume.VARYING:
        return None
    base = closed_form(flow.base)
    return None if base is None else base.shift(-constant_log_det(flow))


def constant_log_det(flow: Pushforward) -> float:
    """The log-determinant of a flow in which it is one number everywhere, in nats."""
    return float(flow.bijection.forward_and_log_det(flow.base.sample(jax.random.key(0)))[1])


def _total(values: jax.typing.ArrayLike) -> float:
    return float(np.sum(np.asarray(values, np.float64)))
