"""Training whose gradients and updates are traced by group of parameters."""

from typing import Any

from pushforward import stability, training
from pushforward.experiments.inflated import Effort, train_together
from pushforward.experiments.inflated_data import Cell, InflatedData


def train_traced(
    cell: Cell, effort: Effort, seed: int, window: int = 1
) -> tuple[training.Fit, InflatedData, stability.Trace]:
    """The members of a cell, its data, and the trace of `stability.parameter_groups` in windows of so many steps.

    Raises:
        Diverged: every member diverged.
    """

    def traced(optimizer: Any, member: Any) -> Any:
        groups = stability.parameter_groups(member)
        return stability.traced(optimizer, groups, steps=effort.steps, window=window)

    trained, (data,) = train_together([cell], effort, seed, traced)
    return trained, data, stability.read_trace(trained.optimizer_state)
