"""Figures of flows, training and densities of states; behind them what figures and pages of runs share."""

from pushforward.drawing.figures import densities, densities_of_states, layers, losses, samples

__all__ = ["densities", "densities_of_states", "layers", "losses", "samples"]


def __dir__() -> list[str]:
    return __all__
