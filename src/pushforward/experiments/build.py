"""Flows and losses from the settings of a fit."""

from typing import Any

import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pushforward import flows
from pushforward.distributions import Normal, Pushforward
from pushforward.errors import UserError, nearest
from pushforward.experiments.config import FitConfig
from pushforward.objectives import annealing, free_energy
from pushforward.targets import Target
from pushforward.training import ensemble
from pushforward.training.fit import Loss


def make_flow(config: FitConfig, dim: int, key: PRNGKeyArray) -> Pushforward:
    """The untrained flow of one restart.

    Raises:
        UserError: the family is unknown, or does not exist in `dim` dimensions.
    """
    if config.flow not in flows.RECIPES:
        raise UserError(f"unknown flow {config.flow!r}{nearest(config.flow, flows.RECIPES)}")
    options: dict[str, Any] = {"base": Normal.standard(dim, trained=config.base == "trained")}
    if config.flow == "planar":
        options["initialisation"] = config.initialisation
    if config.flow == "nice":
        options |= {"mixing": config.mixing, "width": config.width, "depth": config.depth}
    try:
        return flows.RECIPES[config.flow](key, dim, config.length, **options)
    except ValueError as error:
        raise UserError(str(error)) from error


def make_ensemble(config: FitConfig, dim: int) -> Pushforward:
    """The untrained flows of all restarts, along a leading axis."""
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    return ensemble(lambda key: make_flow(config, dim, key), key, config.restarts)


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
