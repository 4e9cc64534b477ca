"""The flows of a fit and the loss that it minimises, from its settings."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from pushforward import flows
from pushforward.bijections import Chain, DiagonalAffine, Frozen
from pushforward.distributions import Distribution, Mixture, Normal, Pushforward
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.flows import make_flow
from pushforward.objectives import Annealed, Remembering, annealing, free_energy
from pushforward.objectives.base import Loss
from pushforward.targets import Target
from pushforward.training import ensemble
from pushforward.types import PRNGKeyArray


def make_ensemble(config: FitConfig, dim: int) -> Pushforward:
    """The untrained flows of all restarts of a fit, along a leading axis."""
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    return ensemble(_maker(config, dim), key, config.restarts)


def _maker(config: FitConfig, dim: int) -> Callable[[PRNGKeyArray], Pushforward]:
    fast: flows.Fast = "sampling" if config.objective == "reverse-kl" else "density"

    def make(key: PRNGKeyArray) -> Pushforward:
        flow = make_flow(config, (dim,), key, _base(config, dim, key), fast)
        if config.spread == 1:
            return flow
        wide = DiagonalAffine(jnp.zeros(dim), jnp.full(dim, math.log(config.spread)))
        return Pushforward(flow.base, Chain((flow.bijection, Frozen(wide))))

    return make


def _base(config: FitConfig, dim: int, key: PRNGKeyArray) -> Distribution:
    """A Normal, or a mixture of narrower ones around draws from N(0, I)."""
    if config.base != "mixture":
        return Normal.standard(dim, trained=config.base == "trained")
    count = config.components
    centres = jax.random.normal(jax.random.fold_in(key, 1), (count, dim))
    return Mixture(jnp.zeros(count), Normal(centres, jnp.full((count, dim), -math.log(count) / dim)))


def make_loss(config: FitConfig, target: Target) -> Loss | Remembering:
    """What a fit minimises."""
    if config.objective != "reverse-kl":
        return Annealed(target.log_density, config.objective, config.at_once)
    stick_the_landing = config.gradient == "stick-the-landing"

    def loss(flow: Pushforward, key: PRNGKeyArray, step: Int[Array, ""]) -> Float[Array, ""]:
        return free_energy(
            flow,
            target.log_densities,
            key,
            config.at_once,
            beta=annealing(step, config.annealing_steps),
            stick_the_landing=stick_the_landing,
        )

    return loss
