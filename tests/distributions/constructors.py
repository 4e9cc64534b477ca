"""Every distribution that the conformance suite holds to the contract. A new one adds a line to `ENTRIES`."""

import jax
import jax.numpy as jnp

from pushforward.bijections import DiagonalAffine, Inverse, Planar, Stack
from pushforward.distributions import Normal, NormalMixture, Pushforward, Uniform
from tests.checks import randomised


def normal(key, dim):
    return randomised(Normal.standard(dim, trained=True), key, 0.5)


def uniform(key, dim):
    # The edges lie on those of the midpoint rule's pieces, where it is exact.
    return Uniform(jnp.full(dim, -1.0), jnp.linspace(2.0, 3.0, dim))


def mixture(key, dim):
    return randomised(NormalMixture(jnp.zeros(4), jnp.zeros((4, dim)), jnp.zeros((4, dim))), key, 0.7)


def planar(key, dim):
    return Pushforward(normal(key, dim), randomised(Stack.init(lambda k, _: Planar.init(k, dim), key, 3), key, 0.5))


def inverted(key, dim):
    return Pushforward(mixture(key, dim), Inverse(randomised(DiagonalAffine.identity(dim), key, 0.3)))


ENTRIES = {
    "normal": normal,
    "normal, fixed": lambda key, dim: Normal(jax.random.normal(key, (dim,)), jnp.full(dim, -0.5), trained=False),
    "uniform": uniform,
    "normal mixture": mixture,
    "planar flow": planar,
    "inverse of an affine map": inverted,
}
