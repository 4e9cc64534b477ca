"""Training instability: loss landscapes, curvature, and what parameters do while they are trained."""

from pushforward.stability.groups import parameter_groups
from pushforward.stability.hessian import Eigenvalues, top_eigenvalues
from pushforward.stability.landscape import Landscape, landscape, random_directions
from pushforward.stability.sharpness import sharpness
from pushforward.stability.spread import SeedSpread, seed_spread
from pushforward.stability.toy import (
    descend_scale,
    largest_stable_rate,
    minimise_scale,
    scale_curvature,
    scale_gradient,
    scale_loss,
    scale_optimum,
)
from pushforward.stability.traces import Trace, read_trace, traced

__all__ = [
    "Eigenvalues",
    "Landscape",
    "SeedSpread",
    "Trace",
    "descend_scale",
    "landscape",
    "largest_stable_rate",
    "minimise_scale",
    "parameter_groups",
    "random_directions",
    "read_trace",
    "scale_curvature",
    "scale_gradient",
    "scale_loss",
    "scale_optimum",
    "seed_spread",
    "sharpness",
    "top_eigenvalues",
    "traced",
]


def __dir__() -> list[str]:
    return __all__
