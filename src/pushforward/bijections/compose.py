"""Bijections made of bijections."""

from collections.abc import Callable
from functools import reduce

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pushforward.bijections.base import Bijection, Scalar, Volume


class Chain(Bijection):
    """Unlike bijections in turn: the first of `bijections` acts first.

    Raises:
        ValueError: there is no bijection, or two of them have different event shapes.
    """

    bijections: tuple[Bijection, ...]

    def __check_init__(self) -> None:
        if not self.bijections:
            raise ValueError("Chain needs at least one bijection")
        shapes = {bijection.shape for bijection in self.bijections}
        if len(shapes) > 1:
            raise ValueError(f"Chain needs bijections of one event shape, got {sorted(shapes)}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.bijections[0].shape

    @property
    def volume(self) -> Volume:
        return max(bijection.volume for bijection in self.bijections)

    def resolve(self) -> "Chain":
        return Chain(tuple(bijection.resolve() for bijection in self.bijections))

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        log_dets = []
        for bijection in self.bijections:
            x, log_det = bijection.forward_and_log_det(x)
            log_dets.append(log_det)
        return x, reduce(jnp.add, log_dets)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        log_dets = []
        for bijection in reversed(self.bijections):
            y, log_det = bijection.inverse_and_log_det(y)
            log_dets.append(log_det)
        return y, reduce(jnp.add, log_dets)

    def push_score(
        self, x: Float[Array, "..."], score: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Scalar, Float[Array, "..."]]:
        log_dets = []
        for bijection in self.bijections:
            x, log_det, score = bijection.push_score(x, score)
            log_dets.append(log_det)
        return x, reduce(jnp.add, log_dets), score


class Stack(Bijection):
    """Layers of one kind in turn, run by `lax.scan`: compile time does not grow with their number.

    Every array leaf of `layers` carries a leading axis of size `length`. Constrained parameters are resolved for all
    layers at once before the scan, and its backward pass computes each layer again from its input, which is cheaper
    than to keep what lies between. No layers at all (`length` 0) is the identity.

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

        Raises:
            ValueError: `length` is negative.
        """
        if length < 0:
            raise ValueError(f"length must be 0 or more, got {length}")
        return Stack(eqx.filter_vmap(make_layer)(jax.random.split(key, length), jnp.arange(length)), length)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layers.shape

    @property
    def volume(self) -> Volume:
        return self.layers.volume if self.length else Volume.PRESERVING

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

        body = jax.checkpoint(body, prevent_cse=False)
        carry, _ = lax.scan(body, carry, arrays, length=self.length, reverse=reverse)
        return carry

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        def step(layer: Bijection, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            x, total = carry
            x, log_det = layer.forward_and_log_det(x)
            return x, total + log_det

        x, log_det = self._scan(step, (x, jnp.zeros((), x.dtype)))
        return x, log_det

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        def step(layer: Bijection, carry: tuple[Array, ...]) -> tuple[Array, ...]:
            y, total = carry
            y, log_det = layer.inverse_and_log_det(y)
            return y, total + log_det

        y, log_det = self._scan(step, (y, jnp.zeros((), y.dtype)), reverse=True)
        return y, log_det

    def push_score(
        self, x: Float[Array, "..."], score: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Scalar, Float[Array, "..."]]:
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
        return self.bijection.shape

    @property
    def volume(self) -> Volume:
        return self.bijection.volume

    def resolve(self) -> "Inverse":
        return Inverse(self.bijection.resolve())

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.bijection.inverse_and_log_det(x)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.bijection.forward_and_log_det(y)
