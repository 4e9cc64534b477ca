"""Inference from simulations: a prior, a simulator, and a flow that is the posterior of any observation."""

from pushforward.inference.simulation.estimation import Estimator, Settings, estimate
from pushforward.inference.simulation.likelihood import Likelihood, estimate_likelihood
from pushforward.inference.simulation.priors import prior
from pushforward.inference.simulation.rounds import truncated
from pushforward.inference.simulation.simulators import Simulations, Simulator, simulate

__all__ = [
    "Estimator",
    "Likelihood",
    "Settings",
    "Simulations",
    "Simulator",
    "estimate",
    "estimate_likelihood",
    "prior",
    "simulate",
    "truncated",
]


def __dir__() -> list[str]:
    return __all__
