"""Training: the compiled loop, the optimiser and checkpoints."""

from pushforward.training.checkpoint import CheckpointError, Checkpoints
from pushforward.training.fit import (
    Diverged,
    Divergence,
    Fit,
    Interrupted,
    Record,
    ensemble,
    fit,
    member,
    restore_models,
)
from pushforward.training.optimizer import adam, rmsprop

__all__ = [
    "CheckpointError",
    "Checkpoints",
    "Diverged",
    "Divergence",
    "Fit",
    "Interrupted",
    "Record",
    "adam",
    "ensemble",
    "fit",
    "member",
    "restore_models",
    "rmsprop",
]
