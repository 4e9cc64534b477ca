"""Parameters that make no bijection and no distribution are refused where they come in."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward.bijections import (
    Affine,
    Chain,
    CircularSpline,
    Concatenate,
    Coupling,
    DeepSigmoidal,
    DiagonalAffine,
    LeakyReLU,
    MaskedAutoregressive,
    Permutation,
    Planar,
    Pointwise,
    Radial,
    RationalQuadratic,
    Reshape,
    Sigmoidal,
    Spline,
    Squeeze,
    Stack,
    Sylvester,
    Translation,
    TriangularAffine,
    VolumePreservingAffine,
)
from pushforward.distributions import (
    Average,
    DiscretizedLogistic,
    FamilyMixture,
    Mixture,
    MultivariateNormal,
    Normal,
    Pushforward,
    SmoothStep,
    StudentT,
    Uniform,
    VonMises,
)
from pushforward.nets import MADE, MLP, LipschitzMLP

KEY = jax.random.key(0)
zeros, ones = jnp.zeros, jnp.ones

REFUSED = {
    "permutation with a repeat": lambda: Permutation(jnp.array([0, 0, 1])),
    "permutation from 1": lambda: Permutation(jnp.array([1, 2, 3])),
    "permutation of floats": lambda: Permutation(jnp.array([1.0, 0.0])),
    "permutation as a list": lambda: Permutation([1, 0]),
    "stack of permutations with a repeat": lambda: Permutation(jnp.array([[0, 1], [1, 1]])),
    "affine, two shapes": lambda: DiagonalAffine(zeros(3), ones(1)),
    "affine of integers": lambda: DiagonalAffine(jnp.zeros(3, int), jnp.zeros(3, int)),
    "affine of lists": lambda: DiagonalAffine([0.0], [0.0]),
    "affine of numbers": lambda: DiagonalAffine(0.0, 0.0),
    "affine, complex": lambda: DiagonalAffine(jnp.zeros(3, complex), jnp.zeros(3, complex)),
    "volume-preserving affine, two shapes": lambda: VolumePreservingAffine(zeros(3), zeros(2)),
    "translation, a number": lambda: Translation(zeros(())),
    "triangular, not square": lambda: TriangularAffine(zeros(3), zeros((3, 2)), zeros(3)),
    "planar, two shapes": lambda: Planar(zeros(3), zeros(2), zeros(())),
    "planar, b a vector": lambda: Planar(zeros(3), zeros(3), zeros(3)),
    "radial, reach a vector": lambda: Radial(zeros(3), zeros(3), zeros(())),
    "sylvester, triangles of two sizes": lambda: Sylvester(
        Permutation.reverse(3), zeros((2, 2)), zeros((3, 3)), zeros(2)
    ),
    "spline, too many slopes": lambda: Spline(zeros((2, 8)), zeros((2, 8)), zeros((2, 8))),
    "spline, widths and heights": lambda: Spline(zeros((2, 8)), zeros((2, 7)), zeros((2, 7))),
    "spline of 1,000 bins": lambda: Spline.identity(1, 1000),
    "spline without bins": lambda: Spline.identity(1, 0),
    **{f"spline, bound {bound}": lambda bound=bound: Spline.identity(1, 8, bound) for bound in (0.0, -1.0)},
    **{f"spline, bound {bound}": lambda bound=bound: Spline.identity(1, 8, bound) for bound in (math.nan, math.inf)},
    "circular spline of 1,000 bins": lambda: CircularSpline.identity(1, 1000),
    "circular spline, two dimensions": lambda: CircularSpline(*[zeros((2, 4))] * 3, zeros(3)),
    "spline transformer of 1,000 bins": lambda: RationalQuadratic(1000),
    "spline transformer, bound 0": lambda: RationalQuadratic(8, 0.0),
    "sigmoidal without units": lambda: Sigmoidal(0),
    "sigmoidal, two shapes": lambda: DeepSigmoidal(zeros((2, 3)), zeros((2, 3)), zeros((2, 4))),
    "leaky relu, slope 0": lambda: LeakyReLU((2,), 0.0),
    "autoregressive with a plain network": lambda: MaskedAutoregressive(Affine.init(), MLP.init(KEY, 3, 6, 8, 1), 3),
    "autoregressive of another size": lambda: MaskedAutoregressive(Affine.init(), MADE.init(KEY, 4, 2, 8, 1), 3),
    "autoregressive with another number of outputs": lambda: MaskedAutoregressive(
        Affine.init(), MADE.init(KEY, 3, 3, 8, 1), 3
    ),
    "coupling of nothing": lambda: Coupling(Affine.init(), MLP.init(KEY, 3, 0, 8, 1), (3,), 3),
    "coupling with another number of outputs": lambda: Coupling(Affine.init(), MLP.init(KEY, 1, 3, 8, 1), (3,), 1),
    "Lipschitz constant of 1": lambda: LipschitzMLP.init(KEY, 2, 4, 1, 1.0),
    "chain of nothing": lambda: Chain(()),
    "chain of two sizes": lambda: Chain((Translation(zeros(2)), Translation(zeros(3)))),
    "concatenation of nothing": lambda: Concatenate(()),
    "stack of another length": lambda: Stack(DiagonalAffine(zeros((3, 2)), zeros((3, 2))), 4),
    "stack of a negative length": lambda: Stack.init(lambda key, _: Planar.init(key, 2), KEY, -1),
    "pointwise of images": lambda: Pointwise(Squeeze((2, 2, 1)), (3,)),
    "reshape to another size": lambda: Reshape((4,), (3,)),
    "squeeze of odd sides": lambda: Squeeze((3, 2, 1)),
    "uniform, high below low": lambda: Uniform(ones(2), zeros(2)),
    "uniform, no width": lambda: Uniform(zeros(2), zeros(2)),
    "uniform, NaN": lambda: Uniform(zeros(2), jnp.full(2, jnp.nan)),
    "uniform, two shapes": lambda: Uniform(zeros(2), ones(3)),
    "smooth step, end below start": lambda: SmoothStep(ones(1), zeros(1), ones(1), ones(1), ones(1)),
    "smooth step, offset 0": lambda: SmoothStep(zeros(1), ones(1), zeros(1), ones(1), ones(1)),
    "covariance, not positive definite": lambda: MultivariateNormal.from_covariance(zeros(2), ones((2, 2))),
    "covariance, negative": lambda: MultivariateNormal.from_covariance(zeros(2), -jnp.eye(2)),
    "covariance, not symmetric": lambda: MultivariateNormal.from_covariance(
        zeros(2), jnp.array([[1.0, 0.9], [0.1, 1.0]])
    ),
    "covariance of another size": lambda: MultivariateNormal.from_covariance(zeros(3), jnp.eye(2)),
    "normal, two shapes": lambda: Normal(zeros(3), zeros(1)),
    "student-t, two shapes": lambda: StudentT(zeros(3), zeros(3), log_df=zeros(1)),
    "student-t without degrees of freedom": lambda: StudentT.standard(2, df=0.0),
    "von Mises, two shapes": lambda: VonMises(zeros(3), zeros(2)),
    "one level": lambda: DiscretizedLogistic(zeros(2), zeros(2), 1),
    "levels, two shapes": lambda: DiscretizedLogistic(zeros(2), zeros(3), 4),
    "mixture, other weights": lambda: Mixture(zeros(3), Normal(zeros((4, 2)), zeros((4, 2)))),
    "average, other lengths": lambda: Average(
        Pushforward(Normal(zeros((4, 2)), zeros((4, 2))), Translation(zeros((3, 2))))
    ),
    "mixture of families, other weights": lambda: FamilyMixture(zeros((3, 2)), (Normal.standard(2),)),
    "flow of two shapes": lambda: Pushforward(Normal.standard(2), Translation(zeros(3))),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    with pytest.raises(ValueError, match=r"\S"):
        REFUSED[name]()


def test_what_is_named():
    with pytest.raises(ValueError, match=r"DiagonalAffine\.log_scale must be .*\(3,\).*\(1,\)"):
        DiagonalAffine(zeros(3), ones(1))


def test_arrays_of_numpy_are_parameters():
    layer = DiagonalAffine(np.zeros(2), np.full(2, 0.5))
    y, log_det = layer.forward_and_log_det([1, 2])
    np.testing.assert_allclose(y, np.exp(0.5) * np.array([1, 2]), rtol=1e-6)
    np.testing.assert_allclose(log_det, 1.0)


def test_parameters_may_be_traced():
    """There their values cannot be checked."""
    law = jax.jit(lambda high: Uniform(zeros(2), high).log_prob(zeros(2)))(ones(2))
    moved = jax.jit(lambda indices: Permutation(indices).forward(jnp.arange(3.0)))(jnp.array([2, 0, 1]))
    assert law == 0
    np.testing.assert_array_equal(moved, [2, 0, 1])
