"""Gaussian processes."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float

from pushforward.posteriors.base import Column

CELLS = 40
VARIANCE, PINES = 1.91, 126


def gp_regr(x: Column, y: Column, **_: Any) -> None:
    rho = numpyro.sample("rho", dist.Gamma(25, 4))
    alpha = numpyro.sample("alpha", dist.HalfNormal(2))
    sigma = numpyro.sample("sigma", dist.HalfNormal(1))
    covariance = _squared_exponential(x, alpha, rho) + sigma * jnp.eye(len(x))
    numpyro.sample("y", dist.MultivariateNormal(0.0, covariance), obs=y)


def gp_pois_regr(x: Column, k: Column, **_: Any) -> None:
    rho = numpyro.sample("rho", dist.Gamma(25, 4))
    alpha = numpyro.sample("alpha", dist.HalfNormal(2))
    noise = numpyro.sample("f_tilde", dist.Normal(0, 1).expand([len(x)]).to_event(1))
    covariance = _squared_exponential(x, alpha, rho) + 1e-10 * jnp.eye(len(x))
    f = numpyro.deterministic("f", jnp.linalg.cholesky(covariance) @ noise)
    numpyro.sample("k", dist.Poisson(jnp.exp(f)), obs=k)


def _squared_exponential(x: Column, alpha: Float[Array, ""], rho: Float[Array, ""]) -> Float[Array, "n n"]:
    return alpha**2 * jnp.exp(-0.5 * (np.subtract.outer(x, x) / rho) ** 2)


def lgcp(data_x: Column, data_y: Column, **_: Any) -> None:
    """Log-Gaussian Cox process of points of the unit square, counted in the cells of a grid of 40 x 40.

    As in Møller, Syversveen & Waagepetersen, 1998, "Log Gaussian Cox processes"; the likelihood is without the
    factorials of the counts.
    """
    counts, _, _ = np.histogram2d(data_x, data_y, bins=CELLS, range=[[0, 1], [0, 1]])
    cells = np.stack(np.meshgrid(np.arange(CELLS), np.arange(CELLS), indexing="ij"), axis=-1).reshape(-1, 2)
    distances = np.sqrt(((cells[:, None] - cells[None]) ** 2).sum(axis=-1))
    factor = np.linalg.cholesky(VARIANCE * np.exp(-distances / (CELLS / 33)))
    noise = numpyro.sample("noise", dist.Normal(0, 1).expand([CELLS**2]).to_event(1))
    f = numpyro.deterministic("f", math.log(PINES) - VARIANCE / 2 + factor @ noise)
    numpyro.factor("counts", counts.ravel() @ f - jnp.exp(f).sum() / CELLS**2)
