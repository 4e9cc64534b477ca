"""Training: the compiled loop, the optimiser and checkpoints."""

from pushforward.training.checkpoint import CheckpointError, Checkpoints
from pushforward.training.fit import (
    Diverged,
    Divergence,
    Fit,
    Interrupted,
    Record,
    fit,
)
from pushforward.training.members import ensemble, member
from pushforward.training.optimizer import adam, rmsprop, timed_adam
from pushforward.training.state import restore_models

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
    "timed_adam",
]


def __dir__() -> list[str]:
    return __all__
