"""Distributions with densities that can be evaluated and sampled."""

from pushforward.distributions.average import Average
from pushforward.distributions.base import Distribution, over_batch
from pushforward.distributions.discrete import Bernoulli, Categorical, DiscretizedLogistic
from pushforward.distributions.family_mixture import FamilyMixture
from pushforward.distributions.generalized_normal import GeneralizedNormal
from pushforward.distributions.gumbel import Gumbel
from pushforward.distributions.laplace import Laplace
from pushforward.distributions.location_scale import LocationScale
from pushforward.distributions.logistic import Logistic
from pushforward.distributions.mixture import Mixture
from pushforward.distributions.multivariate_normal import MultivariateNormal
from pushforward.distributions.normal import Normal
from pushforward.distributions.pushforward import Pushforward
from pushforward.distributions.smooth_step import SmoothStep
from pushforward.distributions.student_t import StudentT
from pushforward.distributions.uniform import Uniform
from pushforward.distributions.von_mises import VonMises

__all__ = [
    "Average",
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "Distribution",
    "FamilyMixture",
    "GeneralizedNormal",
    "Gumbel",
    "Laplace",
    "LocationScale",
    "Logistic",
    "Mixture",
    "MultivariateNormal",
    "Normal",
    "Pushforward",
    "SmoothStep",
    "StudentT",
    "Uniform",
    "VonMises",
    "over_batch",
]


def __dir__() -> list[str]:
    return __all__
