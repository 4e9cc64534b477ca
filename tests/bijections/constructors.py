"""Every bijection that the conformance suite holds to the contract. A new family adds a line to `ENTRIES`."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
from jaxtyping import PRNGKeyArray

from pushforward.bijections import (
    AdditiveCoupling,
    Bijection,
    Chain,
    DiagonalAffine,
    Inverse,
    Permutation,
    Planar,
    Radial,
    Rotation,
    Stack,
    alternating_mask,
)
from tests.checks import randomised


@dataclass(frozen=True)
class Entry:
    """How to make a bijection.

    Attributes:
        make: `(key, dim) -> Bijection`; `build` draws its floating leaves anew.
        least_dim: the fewest dimensions it acts on without being trivial.
        largest: the factor on all parameters up to which its values fit into float32.
    """

    make: Callable[[PRNGKeyArray, int], Bijection]
    least_dim: int = 1
    largest: float = 1e4

    def build(self, key: PRNGKeyArray, dim: int, scale: float = 1.0) -> Bijection:
        """The bijection with every floating leaf drawn from `N(0, scale^2)`."""
        key_make, key_draw = jax.random.split(key)
        return randomised(self.make(key_make, dim), key_draw, scale)


def stack(make: Callable[[PRNGKeyArray, int], Bijection], length: int = 3) -> Callable[[PRNGKeyArray, int], Stack]:
    return lambda key, dim: Stack.init(lambda k, _: make(k, dim), key, length)


def coupling(index: int) -> Callable[[PRNGKeyArray, int], AdditiveCoupling]:
    return lambda key, dim: AdditiveCoupling.init(key, alternating_mask(dim, index), width=5, depth=2)


def nice(*mixers: Callable[[PRNGKeyArray, int], Bijection]) -> Callable[[PRNGKeyArray, int], Stack]:
    def layer(key, index, dim):
        key_net, *keys = jax.random.split(key, 1 + len(mixers))
        net = AdditiveCoupling.init(key_net, alternating_mask(dim, index), width=5, depth=1)
        return Chain((net, *(mixer(k, dim) for mixer, k in zip(mixers, keys))))

    return lambda key, dim: Stack.init(lambda k, index: layer(k, index, dim), key, 3)


def affine(key: PRNGKeyArray, dim: int) -> DiagonalAffine:
    return DiagonalAffine.identity(dim)


def chain(*makers: Callable[[PRNGKeyArray, int], Bijection]) -> Callable[[PRNGKeyArray, int], Chain]:
    return lambda key, dim: Chain(tuple(make(k, dim) for make, k in zip(makers, jax.random.split(key, len(makers)))))


ENTRIES = {
    "planar": Entry(Planar.init),
    "radial": Entry(Radial.init),
    "affine": Entry(affine, largest=10),
    "coupling, even mask": Entry(coupling(0), least_dim=2),
    "coupling, odd mask": Entry(coupling(1), least_dim=2),
    "permutation": Entry(Permutation.init),
    "rotation": Entry(Rotation.init, least_dim=2),
    "chain, varying": Entry(chain(Planar.init, affine, Permutation.init, Radial.init), largest=10),
    "chain, constant": Entry(chain(Rotation.init, affine, Permutation.init), least_dim=2, largest=10),
    "chain, preserving": Entry(chain(coupling(0), Rotation.init, coupling(1)), least_dim=2, largest=1e2),
    "inverse of a planar": Entry(lambda key, dim: Inverse(Planar.init(key, dim)), largest=1.0),
    "inverse of an affine": Entry(lambda key, dim: Inverse(affine(key, dim)), largest=10),
    "stack of planars": Entry(stack(Planar.init)),
    "stack of radials": Entry(stack(Radial.init)),
    "stack of chains": Entry(stack(chain(Planar.init, Permutation.init))),
    "stack of inverses": Entry(stack(lambda key, dim: Inverse(Planar.init(key, dim))), largest=1.0),
    "stack of nothing": Entry(stack(Planar.init, length=0)),
    "nice, rotated": Entry(nice(Rotation.init), least_dim=2, largest=1e2),
    "nice, permuted": Entry(nice(Permutation.init), least_dim=2, largest=1e2),
    "nice, unmixed": Entry(nice(), least_dim=2, largest=1e2),
}
