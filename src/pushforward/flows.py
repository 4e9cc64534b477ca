"""Recipes: a base distribution and a stack of layers of one family."""

from collections.abc import Callable
from typing import Literal

import jax
from jaxtyping import Array, Int, PRNGKeyArray

from pushforward.bijections import (
    AdditiveCoupling,
    Bijection,
    Chain,
    Permutation,
    Planar,
    Radial,
    Rotation,
    Stack,
    alternating_mask,
)
from pushforward.distributions import Distribution, Normal, Pushforward


def planar(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    initialisation: Literal["xavier", "plain"] = "xavier",
) -> Pushforward:
    """Planar flow: varying volume, fast sampling, `log_prob` by one scalar root-find a layer (R&M 2015, section 4.1).

    Args:
        key: for the random start.
        dim: dimensions D; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        initialisation: see `Planar.init`.

    Raises:
        ValueError: `length` is negative or `dim` is not positive.
    """
    return _flow(lambda k, _: Planar.init(k, dim, initialisation), key, dim, length, base)


def radial(key: PRNGKeyArray, dim: int, length: int, *, base: Distribution | None = None) -> Pushforward:
    """Radial flow: varying volume, both directions fast (R&M 2015, section 4.1). Arguments as for `planar`."""
    return _flow(lambda k, _: Radial.init(k, dim), key, dim, length, base)


def nice(
    key: PRNGKeyArray,
    dim: int,
    length: int,
    *,
    base: Distribution | None = None,
    mixing: Literal["permutation", "rotation", "none"] = "permutation",
    width: int = 16,
    depth: int = 2,
) -> Pushforward:
    """Additive coupling with alternating masks: volume preserving, both directions fast (Dinh et al. 2015; R&M 2015).

    Args:
        key: for the random start.
        dim: dimensions D, at least 2; samples have shape `(D,)`.
        length: layers K; 0 leaves the base alone.
        base: N(mu, diag(sigma)^2) with both trained, unless given.
        mixing: what follows each coupling: a fixed random permutation, a trained rotation, or nothing.
        width: hidden units of each network.
        depth: hidden layers of each network.

    Raises:
        ValueError: `length` is negative, `dim` is less than 2, or `mixing` is unknown.
    """
    if dim < 2:
        raise ValueError(f"a coupling layer needs at least 2 dimensions, got {dim}")
    mixers = {"rotation": Rotation.init, "permutation": Permutation.init, "none": None}
    if mixing not in mixers:
        raise ValueError(f"unknown mixing {mixing!r}: choose from {', '.join(mixers)}")
    mix = mixers[mixing]

    def layer(key: PRNGKeyArray, index: Int[Array, ""]) -> Bijection:
        key_net, key_mix = jax.random.split(key)
        coupling = AdditiveCoupling.init(key_net, alternating_mask(dim, index), width, depth)
        return coupling if mix is None else Chain((coupling, mix(key_mix, dim)))

    return _flow(layer, key, dim, length, base)


def _flow(
    make_layer: Callable[[PRNGKeyArray, Int[Array, ""]], Bijection],
    key: PRNGKeyArray,
    dim: int,
    length: int,
    base: Distribution | None,
) -> Pushforward:
    if dim < 1:
        raise ValueError(f"a flow needs at least 1 dimension, got {dim}")
    if base is None:
        base = Normal.standard(dim, trained=True)
    return Pushforward(base, Stack.init(make_layer, key, length))


RECIPES = {"planar": planar, "radial": radial, "nice": nice}
