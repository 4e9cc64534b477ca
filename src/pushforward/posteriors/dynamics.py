"""Ordinary differential equations seen with noise."""

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax import lax
from jaxtyping import Array, Float

from pushforward.posteriors.base import Column

Field = Callable[[Float[Array, ""], Float[Array, " d"]], Float[Array, " d"]]


def lotka_volterra(ts: Column, y_init: Float[np.ndarray, "2"], y: Float[np.ndarray, "n 2"], **_: Any) -> None:
    means, scales = jnp.array([1.0, 0.05, 1.0, 0.05]), jnp.array([0.5, 0.05, 0.5, 0.05])
    theta = numpyro.sample("theta", dist.TruncatedNormal(means, scales, low=0.0).to_event(1))
    start = numpyro.sample("z_init", dist.LogNormal(math.log(10), 1).expand([2]).to_event(1))
    sigma = numpyro.sample("sigma", dist.LogNormal(-1, 1).expand([2]).to_event(1))

    def field(_: Array, log_z: Float[Array, "2"]) -> Float[Array, "2"]:
        prey, predators = jnp.exp(log_z)
        return jnp.stack([theta[0] - theta[1] * predators, theta[3] * prey - theta[2]])

    log_z = _integrated(field, jnp.log(start), np.concatenate([[0.0], ts]), 20)
    numpyro.sample("y_init", dist.LogNormal(jnp.log(start), sigma), obs=y_init)
    numpyro.sample("y", dist.LogNormal(log_z, sigma), obs=y)


def one_comp_mm_elim_abs(
    t0: float,
    D: float,
    V: float,
    times: Column,
    C_hat: Column,
    **_: Any,
) -> None:
    """The concentration is what was absorbed, known in closed form, less what was eliminated."""
    k_a, k_m, v_m, sigma = (numpyro.sample(name, dist.HalfCauchy(1)) for name in ("k_a", "K_m", "V_m", "sigma"))

    def absorbed(t: Float[Array, "..."]) -> Float[Array, "..."]:
        return -D / V * jnp.expm1(-k_a * t)

    def field(t: Float[Array, ""], gone: Float[Array, " 1"]) -> Float[Array, " 1"]:
        left = absorbed(t) - gone
        return v_m / V * left / (k_m + left)

    gone = _integrated(field, jnp.zeros(1), np.concatenate([[t0], times]), 20)[:, 0]
    numpyro.sample("C_hat", dist.LogNormal(jnp.log(absorbed(jnp.asarray(times)) - gone), sigma), obs=C_hat)


def _integrated(
    field: Field, start: Float[Array, " d"], times: Float[np.ndarray, " times"], substeps: int
) -> Float[Array, "later d"]:
    """The states at all times but the first, by the classical method of Runge and Kutta, some steps between two."""
    grid = np.concatenate([np.linspace(a, b, substeps, endpoint=False) for a, b in pairwise(times)])
    steps = np.diff(np.append(grid, times[-1]))

    def step(y: Float[Array, " d"], inputs: tuple[Array, Array]) -> tuple[Float[Array, " d"], Float[Array, " d"]]:
        t, h = inputs
        k1 = field(t, y)
        k2 = field(t + h / 2, y + h / 2 * k1)
        k3 = field(t + h / 2, y + h / 2 * k2)
        k4 = field(t + h, y + h * k3)
        y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return y, y

    _, states = lax.scan(step, start, (jnp.asarray(grid), jnp.asarray(steps)))
    return states[substeps - 1 :: substeps]
