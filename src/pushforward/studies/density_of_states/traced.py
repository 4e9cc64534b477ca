"""Training whose gradients and updates are traced by group of parameters, and what comes of it."""

from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Float

from pushforward import stability, training
from pushforward.distributions import Pushforward
from pushforward.studies.density_of_states.data import Cell, InflatedData
from pushforward.studies.density_of_states.effort import Effort
from pushforward.studies.density_of_states.training import Member, train_together


def train_traced(
    cell: Cell, effort: Effort, seed: int, window: int = 1
) -> tuple[training.Fit[Member], InflatedData, stability.Trace]:
    """The members of a cell, its data, and the trace of `stability.parameter_groups` in windows of so many steps.

    Raises:
        Diverged: every member diverged.
    """

    def traced(optimizer: Any, member: Any) -> Any:
        groups = stability.parameter_groups(member)
        return stability.traced(optimizer, groups, steps=effort.steps, window=window)

    trained, (data,) = train_together([cell], effort, seed, traced)
    return trained, data, stability.read_trace(trained.optimizer_state)


@eqx.filter_jit
def log_densities(flows: Pushforward, rows: Float[Array, "n D"]) -> Float[Array, "members n"]:
    """`log q` of every member at the rows, in nats; one member after the other, so that memory does not grow."""
    arrays, static = eqx.partition(flows, eqx.is_array)
    return jax.lax.map(lambda each: eqx.combine(each, static).log_prob(rows), arrays)
