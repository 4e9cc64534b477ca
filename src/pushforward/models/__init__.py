"""Models with latent variables: the deep latent Gaussian model."""

from pushforward.models.dlgm import DLGM, Decoder, Posterior
from pushforward.models.likelihoods import LIKELIHOODS, Likelihood
from pushforward.models.objectives import Draws, HeldOutBound, NegativeBound, draw

__all__ = [
    "DLGM",
    "LIKELIHOODS",
    "Decoder",
    "Draws",
    "HeldOutBound",
    "Likelihood",
    "NegativeBound",
    "Posterior",
    "draw",
]


def __dir__() -> list[str]:
    return __all__
