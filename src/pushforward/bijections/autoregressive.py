"""Masked autoregressive layers: every dimension is transformed by what came before it."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from pushforward.bijections.ancestral import ancestral
from pushforward.bijections.base import Bijection, Volume, WithLogDet
from pushforward.bijections.transformers import Transformer
from pushforward.boxes import Box
from pushforward.nets import MADE, MaskedMLP, OnCircle


class MaskedAutoregressive(Bijection):
    """`y_i = tau(x_i; network(x_1 ... x_{i-1}))`: forward in one pass, inverse one dimension after another.

    As it is, it samples fast: inverse autoregressive flow (Kingma et al., 2016). In `Inverse` its density is fast:
    masked autoregressive flow (Papamakarios et al., 2017). The inverse takes D steps that together do the work of a
    pass or two, since every unit of the network is computed once, when the inputs that it sees are known. Its
    derivatives are those of the implicit function theorem.

    Attributes:
        transformer: what is done to each dimension.
        network: from `(D,)` to `(D, transformer.size)`, row `i` from the inputs before `i`.
        dim: D.

    Raises:
        ValueError: the transformer mixes the dimensions, or the network is not a masked one.
    """

    transformer: Transformer
    network: MADE | MaskedMLP | OnCircle
    dim: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        network = self.network.network if isinstance(self.network, OnCircle) else self.network
        if not isinstance(network, MADE | MaskedMLP):
            raise ValueError(f"an autoregressive layer takes a MADE, got {type(network).__name__}")
        outputs = network.mlp.biases[-1].shape[-1] if isinstance(network, MADE) else None
        if isinstance(network, MADE) and (network.dim, outputs) != (self.dim, self.dim * self.transformer.size):
            raise ValueError(
                f"the network emits {outputs} numbers for {network.dim} dimensions, "
                f"the layer takes {self.transformer.size} for each of {self.dim}"
            )
        if not self.transformer.elementwise:
            raise ValueError(f"{type(self.transformer).__name__} mixes the dimensions: it is for coupling layers only")

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    @property
    def volume(self) -> Volume:
        return self.transformer.volume

    def _image(self, box: Box) -> Box:
        return self.transformer.image(box)

    def _preimage(self, box: Box) -> Box:
        return self.transformer.image(box)

    def resolve(self) -> "MaskedAutoregressive":
        network = self.network if isinstance(self.network, MaskedMLP) else self.network.masked()
        return MaskedAutoregressive(self.transformer, network, self.dim)

    def _at(self, x: Float[Array, " D"]) -> Bijection:
        return self.transformer(self.network(x).reshape(self.dim, self.transformer.size))

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self._at(x).forward_and_log_det(x)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        def in_turn(_: Callable[[Array], Array], start: Array) -> Array:
            def chosen(parameters: Array, given: tuple[Array, Array]) -> Array:
                index, y = given
                return self.transformer.of_dimension(index)(parameters[None]).inverse(y[None])[0]

            network = self.resolve().network
            masked, seen = (
                (network.network, network.features) if isinstance(network, OnCircle) else (network, _as_it_is)
            )
            assert isinstance(masked, MaskedMLP)
            return ancestral(masked, chosen, (jnp.arange(self.dim), start), seen)

        def tangent(jacobian: Callable[[Array], Array], right: Array) -> Array:
            columns = jax.vmap(jacobian, out_axes=1)(jnp.eye(self.dim, dtype=right.dtype))
            return solve_triangular(columns, right, lower=True)

        x = lax.custom_root(lambda x: self.forward(x) - y, y, in_turn, tangent)
        return x, -self.forward_and_log_det(x)[1]


def _as_it_is(x: Array) -> Array:
    return x
