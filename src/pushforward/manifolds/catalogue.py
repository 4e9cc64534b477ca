"""Manifolds by name, each in a dimension of choice where it exists in several."""

from collections.abc import Callable

from pushforward.errors import UserError, nearest
from pushforward.manifolds.base import Manifold
from pushforward.manifolds.curved import RingTorus, Sphere, SwissRoll
from pushforward.manifolds.flat import Disc, Point, Segment
from pushforward.manifolds.product import Product


def point(dim: int = 0) -> Manifold:
    """A single point: pure noise."""
    _only(dim, 0, "a point")
    return Point()


def segment_uniform(dim: int = 1) -> Manifold:
    """A unit segment with the uniform density; in d dimensions the unit cube."""
    return _copies(Segment.uniform(), dim)


def segment_von_mises(dim: int = 1) -> Manifold:
    """A segment of length 2 pi with a von Mises density of concentration 1/2; in d dimensions a product of d."""
    return _copies(Segment.von_mises(), dim)


def segment_smooth_step(dim: int = 1) -> Manifold:
    """A segment of length 10 whose density rises smoothly from 0.02 to 0.22; in d dimensions a product of d."""
    return _copies(Segment.smooth_step(), dim)


def disc(dim: int = 2) -> Manifold:
    """The unit ball of d dimensions, uniform."""
    return Disc(dim)


def circle(dim: int = 1) -> Manifold:
    """The unit circle, uniform."""
    _only(dim, 1, "a circle")
    return Sphere(1)


def sphere(dim: int = 2) -> Manifold:
    """The unit sphere S^d in d + 1 dimensions, uniform."""
    return Sphere(dim)


def torus(dim: int = 2) -> Manifold:
    """The flat torus, a product of d unit circles in 2 d dimensions, uniform."""
    return _copies(Sphere(1), dim)


def ring_torus(dim: int = 2) -> Manifold:
    """The surface of a ring in 3 dimensions, of radii 2 and 1, uniform."""
    _only(dim, 2, "a ring torus")
    return RingTorus()


def swiss_roll(dim: int = 2) -> Manifold:
    """The Swiss roll of scikit-learn in 3 dimensions, uniform in its angle."""
    _only(dim, 2, "a Swiss roll")
    return SwissRoll()


MANIFOLDS: dict[str, Callable[..., Manifold]] = {
    "point": point,
    "segment-uniform": segment_uniform,
    "segment-von-mises": segment_von_mises,
    "segment-smooth-step": segment_smooth_step,
    "disc": disc,
    "circle": circle,
    "sphere": sphere,
    "torus": torus,
    "ring-torus": ring_torus,
    "swiss-roll": swiss_roll,
}


def make(name: str, dim: int | None = None) -> Manifold:
    """The manifold called `name`, one of `MANIFOLDS`, of dimension `dim` where it is given.

    Args:
        name: of a manifold.
        dim: dimensions D of the space around it.

    Raises:
        UserError: there is no such manifold, or it does not exist in `dim` dimensions.
    """
    if name not in MANIFOLDS:
        raise UserError(f"unknown manifold {name!r}{nearest(name, MANIFOLDS)}")
    return MANIFOLDS[name]() if dim is None else MANIFOLDS[name](dim)


def _copies(factor: Manifold, count: int) -> Manifold:
    return factor if count == 1 else Product(factor, count)


def _only(dim: int, expected: int, name: str) -> None:
    if dim != expected:
        raise UserError(f"{name} has dimension {expected}, got {dim}")
