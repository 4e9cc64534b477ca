"""The flows of a fit and the loss that it minimises, from its settings."""

import jax
from jaxtyping import Array, Float, Int

from pushforward.distributions import Normal, Pushforward
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.flows import make_flow
from pushforward.objectives import annealing, free_energy
from pushforward.targets import Target
from pushforward.training import ensemble
from pushforward.training.state import Loss
from pushforward.types import PRNGKeyArray


def make_ensemble(config: FitConfig, dim: int) -> Pushforward:
    """The untrained flows of all restarts of a fit, along a leading axis."""
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    base = Normal.standard(dim, trained=config.base == "trained")
    return ensemble(lambda key: make_flow(config, (dim,), key, base, "sampling"), key, config.restarts)


def make_loss(config: FitConfig, target: Target) -> Loss:
    """The free energy that a fit minimises."""
    stick_the_landing = config.gradient == "stick-the-landing"

    def loss(flow: Pushforward, key: PRNGKeyArray, step: Int[Array, ""]) -> Float[Array, ""]:
        return free_energy(
            flow,
            target.log_densities,
            key,
            config.batch_size,
            beta=annealing(step, config.annealing_steps),
            stick_the_landing=stick_the_landing,
        )

    return loss
