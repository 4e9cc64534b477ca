"""Distributions with densities that can be evaluated and sampled."""

from pushforward.distributions.base import Distribution
from pushforward.distributions.mixture import NormalMixture
from pushforward.distributions.normal import Normal
from pushforward.distributions.pushforward import Pushforward
from pushforward.distributions.uniform import Uniform

__all__ = ["Distribution", "Normal", "NormalMixture", "Pushforward", "Uniform"]
