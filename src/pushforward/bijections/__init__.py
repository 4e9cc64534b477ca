"""Bijections with log-determinants, one family a file."""

from pushforward.bijections.affine import DiagonalAffine
from pushforward.bijections.base import Bijection, Volume
from pushforward.bijections.compose import Chain, Inverse, Stack
from pushforward.bijections.coupling import AdditiveCoupling, alternating_mask
from pushforward.bijections.linear import Permutation, Rotation
from pushforward.bijections.planar import Planar
from pushforward.bijections.radial import Radial

__all__ = [
    "AdditiveCoupling",
    "Bijection",
    "Chain",
    "DiagonalAffine",
    "Inverse",
    "Permutation",
    "Planar",
    "Radial",
    "Rotation",
    "Stack",
    "Volume",
    "alternating_mask",
]
