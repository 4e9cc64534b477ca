"""Coupling layers: a part of the dimensions stays, and moves the others."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Volume, WithLogDet
from pushforward.bijections.transformers import Transformer
from pushforward.boxes import Box

Network = Callable[[Float[Array, "..."]], Float[Array, "..."]]


class Coupling(Bijection):
    """The first part of the last axis stays; from it a network emits the parameters that transform the rest.

    Dinh et al., 2015 (NICE) and 2017 (Real NVP); Durkan et al., 2019 (splines). Both directions take one pass. With one
    part of a squeezed image it is Real NVP's channel mask.

    Attributes:
        transformer: what is done to the rest.
        network: from what stays, `(*places, kept)`, to `(*places, moved * transformer.size)`.
        event_shape: `(*places, kept + moved)`.
        kept: how many numbers of the last axis stay.

    Raises:
        ValueError: nothing stays, nothing is left to transform, or the network emits another number of parameters.
    """

    transformer: Transformer
    network: Network
    event_shape: tuple[int, ...] = eqx.field(static=True)
    kept: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not 0 < self.kept < self.event_shape[-1]:
            raise ValueError(
                f"{self.kept} of {self.event_shape[-1]} dimensions cannot stay: some must, and some must move"
            )
        *places, last = self.event_shape
        stays = jnp.zeros((*places, self.kept))
        emitted = eqx.filter_eval_shape(self.network, stays)
        parameters = math.prod(places) * (last - self.kept) * self.transformer.size
        sizes = [array.size for array in jax.tree.leaves(emitted)]
        if sizes != [parameters]:
            raise ValueError(
                f"the network emits {' + '.join(map(str, sizes))} numbers for an input of shape {stays.shape}, "
                f"the layer takes {parameters}: {self.transformer.size} for each that moves"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return self.event_shape

    @property
    def volume(self) -> Volume:
        return self.transformer.volume

    def _image(self, box: Box) -> Box:
        (low, moved_low), (high, moved_high) = (jnp.split(end, [self.kept], axis=-1) for end in (box.low, box.high))
        moved = self.transformer.image(Box(moved_low, moved_high))
        return Box(jnp.concatenate([low, moved.low], axis=-1), jnp.concatenate([high, moved.high], axis=-1))

    def _preimage(self, box: Box) -> Box:
        return self._image(box)

    def _split(self, x: Float[Array, "..."]) -> tuple[Array, Array, Bijection]:
        stays, moves = jnp.split(x, [self.kept], axis=-1)
        parameters = self.network(stays).reshape(moves.size, self.transformer.size)
        return stays, moves, self.transformer(parameters)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        stays, moves, bijection = self._split(x)
        moved, log_det = bijection.forward_and_log_det(moves.ravel())
        return jnp.concatenate([stays, moved.reshape(moves.shape)], axis=-1), log_det

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        stays, moves, bijection = self._split(y)
        moved, log_det = bijection.inverse_and_log_det(moves.ravel())
        return jnp.concatenate([stays, moved.reshape(moves.shape)], axis=-1), log_det
