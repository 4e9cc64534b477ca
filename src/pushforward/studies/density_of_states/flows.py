"""The families of flows and bases that studies of densities of states compare, on one backbone."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from pushforward import flows
from pushforward.bijections import DiagonalAffine, Scaling
from pushforward.distributions import (
    Distribution,
    FamilyMixture,
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Normal,
    Pushforward,
    StudentT,
)
from pushforward.studies.density_of_states.effort import Effort
from pushforward.types import PRNGKeyArray

POWER = 32.0

MakeFlow = Callable[[PRNGKeyArray, int, Distribution, Effort], Pushforward]


def _coupling(recipe: Callable[..., Pushforward]) -> MakeFlow:
    """A flow whose layers take turns in which half of the dimensions they move."""

    def make(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
        width = min(effort.width, 4 * dim)
        common: dict[str, Any] = {"width": width, "depth": effort.depth, "activation": jax.nn.relu}
        return recipe(key, dim, effort.length, base=base, mixing="reverse", **common)

    return make


def _affine(recipe: Callable[..., Pushforward]) -> MakeFlow:
    """Coupling layers with scales."""

    def make(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
        return _coupling(partial(recipe, scale=effort.scale))(key, dim, base, effort)

    return make


def _residual(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
    width = min(effort.width, 4 * dim)
    length = max(1, effort.length // 5)
    return flows.residual(key, dim, length, base=base, width=width, depth=effort.depth, exact=dim <= 8)


def _one_varying_layer(key: PRNGKeyArray, dim: int, base: Distribution, effort: Effort) -> Pushforward:
    """Real VP whose base is moved by one affine layer on each half (after Draxler et al., 2024)."""
    key_flow, key_base = jax.random.split(key)
    width = min(effort.width, 4 * dim)
    varying = flows.real_nvp(key_base, dim, 2, base=base, mixing="reverse", width=width, depth=effort.depth)
    return _affine(flows.real_vp)(key_flow, dim, varying, effort)


FLOWS: dict[str, MakeFlow] = {
    "nice": _coupling(flows.nice),
    "real-vp": _affine(flows.real_vp),
    "real-nvp": _affine(flows.real_nvp),
    "residual": _residual,
    "vp-nvp": _one_varying_layer,
    "spline": _coupling(flows.nsf_coupling),
}


MakeBase = Callable[[int, bool], Distribution]


def _scaled_normal(dim: int, trained: bool) -> Distribution:
    """`N(0, s^2 I)` with s trained, whatever the diagonal."""
    return Pushforward(Normal.standard(dim), Scaling.identity(dim))


def _uniform(dim: int, trained: bool) -> Distribution:
    """Uniform of variance 1 but for its walls, which have a gradient: a generalised normal whose power is held."""
    scale = jnp.full(dim, 0.5 * math.log(3))
    walls = GeneralizedNormal(jnp.zeros(dim), scale, False, log_beta=jnp.full(dim, math.log(POWER)))
    return Pushforward(walls, DiagonalAffine.identity(dim)) if trained else walls


def _families(dim: int, trained: bool) -> Distribution:
    """A trained mixture in each dimension, whatever the diagonal."""
    return FamilyMixture.standard(dim, (Normal, Gumbel, Laplace, GeneralizedNormal))


BASES: dict[str, MakeBase] = {
    "normal": Normal.standard,
    "scaled-normal": _scaled_normal,
    "student-t": StudentT.standard,
    "uniform": _uniform,
    "families": _families,
}
