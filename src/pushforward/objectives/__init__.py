"""What training minimises."""

from pushforward.objectives.annealed import OBJECTIVES, Annealed, Buffer
from pushforward.objectives.base import Remembering
from pushforward.objectives.forward_kl import ForwardKL, HeldOut, log_likelihoods
from pushforward.objectives.reverse_kl import (
    annealing,
    free_energy,
    path_log_prob,
    sample_and_path_log_prob,
    scale_gradient,
)
from pushforward.objectives.windowed import Windowed

__all__ = [
    "OBJECTIVES",
    "Annealed",
    "Buffer",
    "ForwardKL",
    "HeldOut",
    "Remembering",
    "Windowed",
    "annealing",
    "free_energy",
    "log_likelihoods",
    "path_log_prob",
    "sample_and_path_log_prob",
    "scale_gradient",
]


def __dir__() -> list[str]:
    return __all__
