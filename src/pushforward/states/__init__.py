"""Densities of states, the laws of `log p(X)`: how far two are apart, and what a volume-preserving flow must lose."""

from pushforward.states.bootstrap import Estimate, bootstrap
from pushforward.states.bound import Bound, volume_preserving_bound
from pushforward.states.closed_forms import closed_form
from pushforward.states.continuous import Continuous
from pushforward.states.convolution import convolve
from pushforward.states.density import DensityOfStates, Histogram, from_log_densities
from pushforward.states.distances import Comparison, centred_wasserstein, compare, kl, mean_gap, wasserstein
from pushforward.states.sources import density_of_states, from_data, from_draws
from pushforward.states.typicality import TypicalSet

__all__ = [
    "Bound",
    "Comparison",
    "Continuous",
    "DensityOfStates",
    "Estimate",
    "Histogram",
    "TypicalSet",
    "bootstrap",
    "centred_wasserstein",
    "closed_form",
    "compare",
    "convolve",
    "density_of_states",
    "from_data",
    "from_draws",
    "from_log_densities",
    "kl",
    "mean_gap",
    "volume_preserving_bound",
    "wasserstein",
]


def __dir__() -> list[str]:
    return __all__
