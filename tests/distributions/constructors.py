"""Every distribution that is held to the contract. A new one adds a line to `ENTRIES`, a discrete one to `DISCRETE`."""

from collections.abc import Callable
from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pushforward.bijections import DiagonalAffine, Inverse, Planar, Stack
from pushforward.distributions import (
    Average,
    Bernoulli,
    Categorical,
    DiscretizedLogistic,
    Distribution,
    FamilyMixture,
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Logistic,
    Mixture,
    MultivariateNormal,
    Normal,
    Pushforward,
    SmoothStep,
    StudentT,
    Uniform,
    VonMises,
)
from tests.checks import randomised


@dataclass(frozen=True)
class Entry:
    """`build(key, dim)` makes the distribution; `side` of a box in every dimension holds its mass.

    The midpoint rule cuts the side into `12 * fine` pieces; a density with kinks needs more of them.
    """

    build: Callable[[jax.Array, int], Distribution]
    side: tuple[float, float] = (-12.0, 12.0)
    fine: int = 32
    trained: bool = True


def family(make):
    """A trained member of a family near `make(dim)`."""

    def build(key, dim):
        standard = make(dim)
        return jax.tree.map(jnp.add, standard, randomised(standard, key, 0.2))

    return build


def normal(key, dim):
    return randomised(Normal.standard(dim, trained=True), key, 0.5)


def uniform(key, dim):
    # The edges lie on those of the midpoint rule's pieces, where it is exact.
    return Uniform(jnp.full(dim, -1.0), jnp.linspace(2.0, 3.0, dim))


def smooth_step(key, dim):
    standard = SmoothStep.standard(dim)
    return SmoothStep(
        standard.start, standard.end, jnp.linspace(1.0, 3.0, dim), standard.range, jnp.linspace(0.5, 1.0, dim)
    )


def multivariate_normal(key, dim):
    return randomised(MultivariateNormal.standard(dim), key, 0.7)


def von_mises(key, dim):
    return VonMises(2 * jax.random.normal(key, (dim,)), jnp.linspace(-0.5, 1.5, dim))


def family_mixture(key, dim):
    mixture = family(FamilyMixture.standard)(key, dim)
    return eqx.tree_at(lambda mixture: mixture.components[-1].log_df, mixture, jnp.full(dim, 2.5))


def mixture(key, dim):
    return randomised(Mixture(jnp.zeros(4), Normal(jnp.zeros((4, dim)), jnp.zeros((4, dim)))), key, 0.7)


def mixture_of_flows(key, dim):
    @eqx.filter_vmap
    def components(key):
        return Pushforward(normal(key, dim), randomised(DiagonalAffine.identity(dim), key, 0.3))

    return Mixture(jnp.array([0.2, -0.3, 0.5]), components(jax.random.split(key, 3)))


def average_of_flows(key, dim):
    return Average(mixture_of_flows(key, dim).components)


def planar(key, dim):
    return Pushforward(normal(key, dim), randomised(Stack.init(lambda k, _: Planar.init(k, dim), key, 3), key, 0.5))


def inverted(key, dim):
    return Pushforward(mixture(key, dim), Inverse(randomised(DiagonalAffine.identity(dim), key, 0.3)))


ENTRIES = {
    "normal": Entry(normal),
    "normal, fixed": Entry(
        lambda key, dim: Normal(jax.random.normal(key, (dim,)), jnp.full(dim, -0.5), trained=False), trained=False
    ),
    "uniform": Entry(uniform, trained=False),
    "smooth step": Entry(smooth_step, (-5.0, 5.0), trained=False),
    "laplace": Entry(family(lambda dim: Laplace.standard(dim, True)), (-18.0, 18.0), 144),
    "logistic": Entry(family(lambda dim: Logistic.standard(dim, True)), (-24.0, 24.0)),
    "gumbel": Entry(family(lambda dim: Gumbel.standard(dim, True)), (-6.0, 18.0)),
    "student-t": Entry(family(lambda dim: StudentT.standard(dim, True, df=5.0)), (-60.0, 60.0)),
    "generalized normal": Entry(family(lambda dim: GeneralizedNormal.standard(dim, True)), (-8.0, 8.0)),
    "multivariate normal": Entry(multivariate_normal),
    "von mises": Entry(von_mises, (-np.pi, np.pi)),
    "mixture": Entry(mixture),
    "mixture of flows": Entry(mixture_of_flows),
    "average of flows": Entry(average_of_flows),
    "family mixture": Entry(family_mixture, (-18.0, 18.0), 96),
    "planar flow": Entry(planar),
    "inverse of an affine map": Entry(inverted),
}


@dataclass(frozen=True)
class Discrete:
    """`build(key, dim)` makes a distribution of levels `0 ... levels - 1` in every dimension."""

    build: Callable[[jax.Array, int], Distribution]
    levels: int


def bernoulli(key, dim):
    return Bernoulli(jax.random.normal(key, (dim,)))


def categorical(key, dim):
    return Categorical(jax.random.normal(key, (dim, 4)))


def discretized_logistic(levels):
    """Inner and outer levels have masses of the same order."""

    def build(key, dim):
        key_loc, key_scale = jax.random.split(key)
        log_scale = 0.3 * jax.random.normal(key_scale, (dim,)) - 1.5
        return DiscretizedLogistic(jax.random.uniform(key_loc, (dim,)), log_scale, levels)

    return build


DISCRETE = {
    "bernoulli": Discrete(bernoulli, 2),
    "categorical": Discrete(categorical, 4),
    "discretized logistic": Discrete(discretized_logistic(5), 5),
    "discretized logistic, two levels": Discrete(discretized_logistic(2), 2),
}
