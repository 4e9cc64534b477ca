"""Bijections made of bijections."""

from collections.abc import Callable
from functools import reduce
from itertools import accumulate, pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.core import primitives
from jaxtyping import Array, Float, Int

from pushforward.bijections.base import Bijection, Volume, WithLogDet, WithScore
from pushforward.boxes import Box
from pushforward.types import PRNGKeyArray


class Chain(Bijection):
    """Unlike bijections in turn: the first of `bijections` acts first.

    Raises:
        ValueError: there is no bijection, or one does not take the shape that the one before gives.
    """

    bijections: tuple[Bijection, ...]

    def __check_init__(self) -> None:
        if not self.bijections:
            raise ValueError("Chain needs at least one bijection")
        for first, second in pairwise(self.bijections):
            if first.out_shape != second.shape:
                raise ValueError(
                    f"{type(first).__name__} gives the event shape {first.out_shape}, "
                    f"{type(second).__name__} takes {second.shape}"
                )

    @property
    def shape(self) -> tuple[int, ...]:
        return self.bijections[0].shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.bijections[-1].out_shape

    @property
    def volume(self) -> Volume:
        return max(bijection.volume for bijection in self.bijections)

    def _image(self, box: Box) -> Box:
        return reduce(lambda box, bijection: bijection.image(box), self.bijections, box)

    def _preimage(self, box: Box) -> Box:
        return reduce(lambda box, bijection: bijection.preimage(box), reversed(self.bijections), box)

    def resolve(self) -> "Chain":
        return Chain(tuple(bijection.resolve() for bijection in self.bijections))

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        log_dets = []
        for bijection in self.bijections:
            x, log_det = bijection.forward_and_log_det(x)
            log_dets.append(log_det)
        return x, reduce(jnp.add, log_dets)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        log_dets = []
        for bijection in reversed(self.bijections):
            y, log_det = bijection.inverse_and_log_det(y)
            log_dets.append(log_det)
        return y, reduce(jnp.add, log_dets)

    def _calibrate(self, y: Float[Array, "n ..."]) -> tuple["Chain", Float[Array, "n ..."]]:
        calibrated = []
        for bijection in reversed(self.bijections):
            bijection, y = bijection.calibrate(y)
            calibrated.append(bijection)
        return Chain(tuple(reversed(calibrated))), y

    def _push_score(self, x: Float[Array, "..."], score: Float[Array, "..."]) -> WithScore:
        log_dets = []
        for bijection in self.bijections:
            x, log_det, score = bijection.push_score(x, score)
            log_dets.append(log_det)
        return x, reduce(jnp.add, log_dets), score


class Stack(Bijection):
    """Layers of one kind in turn, run by `lax.scan`: compile time does not grow with their number.

    Every array leaf of `layers` carries a leading axis of size `length`. Constrained parameters are resolved for all
    layers at once before the scan, and its backward pass computes again what is cheap: arithmetic, comparisons and
    changes of shape, which would only fill memory. No layers at all (`length` 0) is the identity.

    Raises:
        ValueError: an array of `layers` has another leading axis.

    Example:
        >>> stack = Stack.init(lambda key, index: Planar.init(key, dim=2), jax.random.key(0), length=32)
    """

    layers: Bijection
    length: int = eqx.field(static=True)

    @staticmethod
    def init(
        make_layer: Callable[[PRNGKeyArray, Int[Array, ""]], Bijection], key: PRNGKeyArray, length: int
    ) -> "Stack":
        """`length` layers, each made by `make_layer` from its own key and its index, both traced.

        Args:
            make_layer: from a key and an index to a layer.
            key: split among the layers.
            length: layers; 0 for the identity.

        Raises:
            ValueError: `length` is negative.
        """
        if length < 0:
            raise ValueError(f"length must be 0 or more, got {length}")
        return Stack(eqx.filter_vmap(make_layer)(jax.random.split(key, length), jnp.arange(length)), length)

    def __check_init__(self) -> None:
        leading = {leaf.shape[:1] for leaf in jax.tree.leaves(eqx.filter(self.layers, eqx.is_array))}
        if leading - {(self.length,)}:
            raise ValueError(f"every array of {self.length} layers must have that leading axis, got {sorted(leading)}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layers.shape

    @property
    def volume(self) -> Volume:
        return self.layers.volume if self.length else Volume.PRESERVING

    def _image(self, box: Box) -> Box:
        low, high = self._scan(lambda layer, ends: _ends(layer.image(Box(ends[0], ends[1]))), _ends(box))
        return Box(low, high)

    def _preimage(self, box: Box) -> Box:
        low, high = self._scan(
            lambda layer, ends: _ends(layer.preimage(Box(ends[0], ends[1]))), _ends(box), reverse=True
        )
        return Box(low, high)

    def resolve(self) -> "Stack":
        return Stack(eqx.filter_vmap(lambda layer: layer.resolve())(self.layers), self.length)

    def _scan(
        self,
        step: Callable[[Bijection, tuple[Array, ...]], tuple[Array, ...]],
        carry: tuple[Array, ...],
        reverse: bool = False,
    ) -> tuple[Array, ...]:
        arrays, static = eqx.partition(self.resolve().layers, eqx.is_array)

        def body(carry: tuple[Array, ...], layer: Bijection) -> tuple[tuple[Array, ...], None]:
            return step(eqx.combine(layer, static), carry), None

        body = jax.checkpoint(body, prevent_cse=False, policy=_keep_costly)
        carry, _ = lax.scan(body, carry, arrays, length=self.length, reverse=reverse)
        return carry

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        def step(layer: Bijection, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            x, total = carry
            x, log_det = layer.forward_and_log_det(x)
            return x, total + log_det

        x, log_det = self._scan(step, (x, jnp.zeros((), x.dtype)))
        return x, log_det

    def _calibrate(self, y: Float[Array, "n ..."]) -> tuple["Stack", Float[Array, "n ..."]]:
        arrays, static = eqx.partition(self.layers, eqx.is_array)

        def body(y: Array, layer: Bijection) -> tuple[Array, Bijection]:
            calibrated, y = eqx.combine(layer, static).calibrate(y)
            return y, eqx.filter(calibrated, eqx.is_array)

        y, arrays = lax.scan(body, y, arrays, length=self.length, reverse=True)
        return Stack(eqx.combine(arrays, static), self.length), y

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        def step(layer: Bijection, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            y, total = carry
            y, log_det = layer.inverse_and_log_det(y)
            return y, total + log_det

        y, log_det = self._scan(step, (y, jnp.zeros((), y.dtype)), reverse=True)
        return y, log_det

    def _push_score(self, x: Float[Array, "..."], score: Float[Array, "..."]) -> WithScore:
        def step(layer: Bijection, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            x, total, score = carry
            x, log_det, score = layer.push_score(x, score)
            return x, total + log_det, score

        x, log_det, score = self._scan(step, (x, jnp.zeros((), x.dtype), score))
        return x, log_det, score


class Inverse(Bijection):
    """A bijection run backwards: `forward` of the result is `inverse` of the given one."""

    bijection: Bijection

    @property
    def shape(self) -> tuple[int, ...]:
        return self.bijection.out_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.bijection.shape

    @property
    def volume(self) -> Volume:
        return self.bijection.volume

    def _image(self, box: Box) -> Box:
        return self.bijection.preimage(box)

    def _preimage(self, box: Box) -> Box:
        return self.bijection.image(box)

    def resolve(self) -> "Inverse":
        return Inverse(self.bijection.resolve())

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self.bijection.inverse_and_log_det(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return self.bijection.forward_and_log_det(y)


class Concatenate(Bijection):
    """Bijections side by side, each on its own part of the last axis.

    Raises:
        ValueError: there is no bijection, or their shapes differ in another axis than the last.
    """

    bijections: tuple[Bijection, ...]

    def __check_init__(self) -> None:
        if not self.bijections:
            raise ValueError("Concatenate needs at least one bijection")
        for shapes in ([b.shape for b in self.bijections], [b.out_shape for b in self.bijections]):
            if len({shape[:-1] for shape in shapes}) > 1 or not all(shapes):
                raise ValueError(f"Concatenate needs shapes that differ in the last axis only, got {shapes}")

    @property
    def shape(self) -> tuple[int, ...]:
        return _concatenated([bijection.shape for bijection in self.bijections])

    @property
    def out_shape(self) -> tuple[int, ...]:
        return _concatenated([bijection.out_shape for bijection in self.bijections])

    @property
    def volume(self) -> Volume:
        return max(bijection.volume for bijection in self.bijections)

    def _image(self, box: Box) -> Box:
        parts = _split_box(box, [bijection.shape[-1] for bijection in self.bijections])
        return _beside([bijection.image(part) for bijection, part in zip(self.bijections, parts)])

    def _preimage(self, box: Box) -> Box:
        parts = _split_box(box, [bijection.out_shape[-1] for bijection in self.bijections])
        return _beside([bijection.preimage(part) for bijection, part in zip(self.bijections, parts)])

    def resolve(self) -> "Concatenate":
        return Concatenate(tuple(bijection.resolve() for bijection in self.bijections))

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        parts = _split(x, [bijection.shape[-1] for bijection in self.bijections])
        results = [bijection.forward_and_log_det(part) for bijection, part in zip(self.bijections, parts)]
        return jnp.concatenate([y for y, _ in results], axis=-1), reduce(jnp.add, [log_det for _, log_det in results])

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        parts = _split(y, [bijection.out_shape[-1] for bijection in self.bijections])
        results = [bijection.inverse_and_log_det(part) for bijection, part in zip(self.bijections, parts)]
        return jnp.concatenate([x for x, _ in results], axis=-1), reduce(jnp.add, [log_det for _, log_det in results])

    def _calibrate(self, y: Float[Array, "n ..."]) -> tuple["Concatenate", Float[Array, "n ..."]]:
        parts = _split(y, [bijection.out_shape[-1] for bijection in self.bijections])
        results = [bijection.calibrate(part) for bijection, part in zip(self.bijections, parts)]
        return Concatenate(tuple(b for b, _ in results)), jnp.concatenate([x for _, x in results], axis=-1)


class Pointwise(Bijection):
    """One bijection of vectors at every place of an array, such as a 1x1 convolution of an image.

    Attributes:
        bijection: of shape `(C,)`.
        places: the leading axes of the event shape, `(*places, C)`.

    Raises:
        ValueError: the bijection is not one from vectors to vectors of one length.
    """

    bijection: Bijection
    places: tuple[int, ...] = eqx.field(static=True)

    def __check_init__(self) -> None:
        if len(self.bijection.shape) != 1 or self.bijection.out_shape != self.bijection.shape:
            raise ValueError(
                f"expected a bijection of vectors, got {self.bijection.shape} to {self.bijection.out_shape}"
            )

    @property
    def shape(self) -> tuple[int, ...]:
        return (*self.places, *self.bijection.shape)

    @property
    def volume(self) -> Volume:
        return self.bijection.volume

    def _image(self, box: Box) -> Box:
        return self._everywhere(self.bijection.image, box)

    def _preimage(self, box: Box) -> Box:
        return self._everywhere(self.bijection.preimage, box)

    def _everywhere(self, move: Callable[[Box], Box], box: Box) -> Box:
        low, high = (end.reshape(-1, *self.bijection.shape) for end in _ends(box))
        moved = jax.vmap(move)(Box(low, high))
        return Box(moved.low.reshape(self.shape), moved.high.reshape(self.shape))

    def resolve(self) -> "Pointwise":
        return Pointwise(self.bijection.resolve(), self.places)

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        y, log_dets = jax.vmap(self.bijection.forward_and_log_det)(x.reshape(-1, x.shape[-1]))
        return y.reshape(x.shape), jnp.sum(log_dets)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        x, log_dets = jax.vmap(self.bijection.inverse_and_log_det)(y.reshape(-1, y.shape[-1]))
        return x.reshape(y.shape), jnp.sum(log_dets)

    def _calibrate(self, y: Float[Array, "n ..."]) -> tuple["Pointwise", Float[Array, "n ..."]]:
        bijection, x = self.bijection.calibrate(y.reshape(-1, y.shape[-1]))
        return Pointwise(bijection, self.places), x.reshape(y.shape)


class Frozen(Bijection):
    """A bijection whose parameters are held fixed: no gradient reaches them."""

    bijection: Bijection

    @property
    def shape(self) -> tuple[int, ...]:
        return self.bijection.shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        return self.bijection.out_shape

    @property
    def volume(self) -> Volume:
        return self.bijection.volume

    def _image(self, box: Box) -> Box:
        return self.bijection.image(box)

    def _preimage(self, box: Box) -> Box:
        return self.bijection.preimage(box)

    def _held(self) -> Bijection:
        arrays, static = eqx.partition(self.bijection, eqx.is_inexact_array)
        return eqx.combine(lax.stop_gradient(arrays), static)

    def resolve(self) -> "Frozen":
        return Frozen(self.bijection.resolve())

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self._held().forward_and_log_det(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return self._held().inverse_and_log_det(y)


CHEAP = {
    *(lax.add_p, lax.sub_p, lax.mul_p, lax.div_p, lax.neg_p, lax.max_p, lax.min_p, lax.abs_p, lax.sign_p),
    lax.integer_pow_p,
    *(lax.eq_p, lax.ne_p, lax.lt_p, lax.le_p, lax.gt_p, lax.ge_p, lax.and_p, lax.or_p, lax.not_p, lax.select_n_p),
    *(lax.broadcast_in_dim_p, lax.concatenate_p, lax.convert_element_type_p, lax.dynamic_slice_p, lax.pad_p),
    *(lax.reshape_p, lax.rev_p, lax.slice_p, lax.split_p, lax.squeeze_p, lax.transpose_p),
}
"""What XLA fuses into whatever uses it.

Not `stop_gradient`: the loop of a series ends in one, and of loops nothing is kept but through what uses them.
"""


def _keep_costly(primitive: Any, *_: Any, **parameters: Any) -> bool:
    """What `jax.checkpoint` keeps for the backward pass."""
    if primitive in (primitives.custom_jvp_call_p, primitives.jit_p):  # `jax.nn.relu` is a maximum within both
        inner = parameters["call_jaxpr" if primitive is primitives.custom_jvp_call_p else "jaxpr"]
        return any(_keep_costly(equation.primitive, **equation.params) for equation in inner.eqns)
    return primitive not in CHEAP


def _concatenated(shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
    return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))


def _split(array: Array, sizes: list[int]) -> list[Array]:
    return jnp.split(array, list(accumulate(sizes))[:-1], axis=-1)


def _ends(box: Box) -> tuple[Array, Array]:
    return box.low, box.high


def _split_box(box: Box, sizes: list[int]) -> list[Box]:
    return [Box(low, high) for low, high in zip(_split(box.low, sizes), _split(box.high, sizes))]


def _beside(boxes: list[Box]) -> Box:
    low, high = (jnp.concatenate(ends, axis=-1) for ends in zip(*map(_ends, boxes)))
    return Box(low, high)
