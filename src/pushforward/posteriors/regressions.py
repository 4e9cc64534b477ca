"""Linear regressions of posteriordb, most of them after Gelman & Hill, 2007, "Data analysis using regression"."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions import constraints

from pushforward.posteriors.base import Column, flat


def _regression(y: Column, *columns: Column, scale: Callable[[], Any] = lambda: flat(constraints.positive)) -> None:
    """Of y on a constant and columns: flat weights, and a standard deviation that is flat unless said."""
    features = np.stack([np.ones_like(y), *columns], axis=-1)
    beta = numpyro.sample("beta", flat(constraints.real_vector, (features.shape[1],)))
    sigma = numpyro.sample("sigma", scale())
    numpyro.sample("y", dist.Normal(features @ beta, sigma), obs=y)


def _cauchy() -> Any:
    return dist.HalfCauchy(2.5)


def earn_height(earn: Column, height: Column, **_: Any) -> None:
    _regression(earn, height)


def log10earn_height(earn: Column, height: Column, **_: Any) -> None:
    _regression(np.log10(earn), height)


def logearn_height(earn: Column, height: Column, **_: Any) -> None:
    _regression(np.log(earn), height)


def logearn_height_male(earn: Column, height: Column, male: Column, **_: Any) -> None:
    _regression(np.log(earn), height, male)


def logearn_logheight_male(earn: Column, height: Column, male: Column, **_: Any) -> None:
    _regression(np.log(earn), np.log(height), male)


def logearn_interaction(earn: Column, height: Column, male: Column, **_: Any) -> None:
    _regression(np.log(earn), height, male, height * male)


def logearn_interaction_z(earn: Column, height: Column, male: Column, **_: Any) -> None:
    standard = (height - height.mean()) / height.std(ddof=1)
    _regression(np.log(earn), standard, male, standard * male)


def kidscore_momhs(kid_score: Column, mom_hs: Column, **_: Any) -> None:
    _regression(kid_score, mom_hs, scale=_cauchy)


def kidscore_momiq(kid_score: Column, mom_iq: Column, **_: Any) -> None:
    _regression(kid_score, mom_iq, scale=_cauchy)


def kidscore_momhsiq(kid_score: Column, mom_hs: Column, mom_iq: Column, **_: Any) -> None:
    _regression(kid_score, mom_hs, mom_iq, scale=_cauchy)


def kidscore_interaction(kid_score: Column, mom_hs: Column, mom_iq: Column, **_: Any) -> None:
    _regression(kid_score, mom_hs, mom_iq, mom_hs * mom_iq, scale=_cauchy)


def kidscore_interaction_c(kid_score: Column, mom_hs: Column, mom_iq: Column, **_: Any) -> None:
    hs, iq = mom_hs - mom_hs.mean(), mom_iq - mom_iq.mean()
    _regression(kid_score, hs, iq, hs * iq)


def kidscore_interaction_c2(kid_score: Column, mom_hs: Column, mom_iq: Column, **_: Any) -> None:
    hs, iq = mom_hs - 0.5, mom_iq - 100
    _regression(kid_score, hs, iq, hs * iq)


def kidscore_interaction_z(kid_score: Column, mom_hs: Column, mom_iq: Column, **_: Any) -> None:
    hs, iq = ((column - column.mean()) / (2 * column.std(ddof=1)) for column in (mom_hs, mom_iq))
    _regression(kid_score, hs, iq, hs * iq)


def kidscore_mom_work(kid_score: Column, mom_work: Column, **_: Any) -> None:
    _regression(kid_score, *(np.equal(mom_work, level).astype(float) for level in (2, 3, 4)))


def mesquite(
    weight: Column,
    diam1: Column,
    diam2: Column,
    canopy_height: Column,
    total_height: Column,
    density: Column,
    group: Column,
    **_: Any,
) -> None:
    _regression(weight, diam1, diam2, canopy_height, total_height, density, group)


def logmesquite(weight: Column, group: Column, **columns: Any) -> None:
    names = ("diam1", "diam2", "canopy_height", "total_height", "density")
    _regression(np.log(weight), *(np.log(columns[name]) for name in names), group)


def logmesquite_logvolume(weight: Column, diam1: Column, diam2: Column, canopy_height: Column, **_: Any) -> None:
    _regression(np.log(weight), np.log(diam1 * diam2 * canopy_height))


def logmesquite_logva(
    weight: Column, diam1: Column, diam2: Column, canopy_height: Column, group: Column, **_: Any
) -> None:
    _regression(np.log(weight), np.log(diam1 * diam2 * canopy_height), np.log(diam1 * diam2), group)


def logmesquite_logvash(
    weight: Column,
    diam1: Column,
    diam2: Column,
    canopy_height: Column,
    total_height: Column,
    group: Column,
    **_: Any,
) -> None:
    volume, area, shape = diam1 * diam2 * canopy_height, diam1 * diam2, diam1 / diam2
    _regression(np.log(weight), *map(np.log, (volume, area, shape, total_height)), group)


def logmesquite_logvas(
    weight: Column,
    diam1: Column,
    diam2: Column,
    canopy_height: Column,
    total_height: Column,
    density: Column,
    group: Column,
    **_: Any,
) -> None:
    volume, area, shape = diam1 * diam2 * canopy_height, diam1 * diam2, diam1 / diam2
    _regression(np.log(weight), *map(np.log, (volume, area, shape, total_height, density)), group)


def nes(partyid7: Column, age_discrete: Column, **columns: Any) -> None:
    ages = (np.equal(age_discrete, age).astype(float) for age in (2, 3, 4))
    before, after = ("real_ideo", "race_adj"), ("educ1", "gender", "income")
    _regression(partyid7, *(columns[name] for name in before), *ages, *(columns[name] for name in after))


def kilpisjarvi(x: Column, y: Column, pmualpha: float, psalpha: float, pmubeta: float, psbeta: float, **_: Any) -> None:
    alpha = numpyro.sample("alpha", dist.Normal(pmualpha, psalpha))
    beta = numpyro.sample("beta", dist.Normal(pmubeta, psbeta))
    sigma = numpyro.sample("sigma", flat(constraints.positive))
    numpyro.sample("y", dist.Normal(alpha + beta * x, sigma), obs=y)


def blr(X: Float[np.ndarray, "n d"], y: Column, **_: Any) -> None:
    beta = numpyro.sample("beta", dist.Normal(0, 10).expand([X.shape[1]]).to_event(1))
    sigma = numpyro.sample("sigma", dist.HalfNormal(10))
    numpyro.sample("y", dist.Normal(X @ beta, sigma), obs=y)


def diamonds(X: Float[np.ndarray, "n k"], Y: Column, **_: Any) -> None:
    centred = X[:, 1:] - X[:, 1:].mean(axis=0)
    b = numpyro.sample("b", dist.Normal(0, 1).expand([centred.shape[1]]).to_event(1))
    intercept = numpyro.sample("Intercept", dist.StudentT(3, 8, 10))
    sigma = numpyro.sample("sigma", dist.FoldedDistribution(dist.StudentT(3, 0, 10)))
    mean: Array = intercept + centred @ b
    numpyro.sample("y", dist.Normal(mean, sigma), obs=Y)
