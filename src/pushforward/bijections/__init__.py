"""Bijections with log-determinants, one family a file."""

from pushforward.bijections.affine import ActNorm, DiagonalAffine, Scaling, Translation, VolumePreservingAffine
from pushforward.bijections.autoregressive import MaskedAutoregressive
from pushforward.bijections.base import Bijection, Volume
from pushforward.bijections.circle import Moebius, OntoCircle
from pushforward.bijections.compose import Chain, Concatenate, Frozen, Inverse, Pointwise, Stack
from pushforward.bijections.constraints import CorrelationCholesky, Ordered, Stereographic, StickBreaking
from pushforward.bijections.continuous import Continuous
from pushforward.bijections.coupling import Coupling
from pushforward.bijections.elementwise import Exp, LeakyReLU, OntoBox, PartialExp, Sigmoid, Softplus, Tanh
from pushforward.bijections.linear import Householder, LULinear, Permutation, Rotation, TriangularAffine
from pushforward.bijections.planar import Planar
from pushforward.bijections.radial import Radial
from pushforward.bijections.reshape import Reshape, Squeeze
from pushforward.bijections.residual import Residual
from pushforward.bijections.sigmoidal import DeepSigmoidal
from pushforward.bijections.spline import CircularSpline, MixedSpline, Spline
from pushforward.bijections.sylvester import Sylvester
from pushforward.bijections.transformers import (
    Additive,
    Affine,
    AffineVolumePreserving,
    CircularRationalQuadratic,
    MixedRationalQuadratic,
    RationalQuadratic,
    Sigmoidal,
    Transformer,
)

__all__ = [
    "ActNorm",
    "Additive",
    "Affine",
    "AffineVolumePreserving",
    "Bijection",
    "Chain",
    "CircularRationalQuadratic",
    "CircularSpline",
    "Concatenate",
    "Continuous",
    "CorrelationCholesky",
    "Coupling",
    "DeepSigmoidal",
    "DiagonalAffine",
    "Exp",
    "Frozen",
    "Householder",
    "Inverse",
    "LULinear",
    "LeakyReLU",
    "MaskedAutoregressive",
    "MixedRationalQuadratic",
    "MixedSpline",
    "Moebius",
    "OntoBox",
    "OntoCircle",
    "Ordered",
    "PartialExp",
    "Permutation",
    "Planar",
    "Pointwise",
    "Radial",
    "RationalQuadratic",
    "Reshape",
    "Residual",
    "Rotation",
    "Scaling",
    "Sigmoid",
    "Sigmoidal",
    "Softplus",
    "Spline",
    "Squeeze",
    "Stack",
    "Stereographic",
    "StickBreaking",
    "Sylvester",
    "Tanh",
    "Transformer",
    "Translation",
    "TriangularAffine",
    "Volume",
    "VolumePreservingAffine",
]


def __dir__() -> list[str]:
    return __all__
