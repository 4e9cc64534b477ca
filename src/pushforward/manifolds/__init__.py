"""Manifolds with densities on them, and the densities they have when noise thickens them."""

from pushforward.manifolds.base import Manifold
from pushforward.manifolds.catalogue import MANIFOLDS, make
from pushforward.manifolds.curved import RingTorus, Sphere, SwissRoll
from pushforward.manifolds.flat import Disc, Point, Segment
from pushforward.manifolds.inflation import Inflated, inflate
from pushforward.manifolds.noise import NOISES, Noise, NormalNoise, StudentTNoise, UniformNoise
from pushforward.manifolds.product import Product
from pushforward.manifolds.rotation import rotation

__all__ = [
    "MANIFOLDS",
    "NOISES",
    "Disc",
    "Inflated",
    "Manifold",
    "Noise",
    "NormalNoise",
    "Point",
    "Product",
    "RingTorus",
    "Segment",
    "Sphere",
    "StudentTNoise",
    "SwissRoll",
    "UniformNoise",
    "inflate",
    "make",
    "rotation",
]


def __dir__() -> list[str]:
    return __all__
