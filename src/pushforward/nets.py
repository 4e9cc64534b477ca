"""Small neural networks that emit the parameters of a bijection."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


class MLP(eqx.Module):
    """A multilayer perceptron of one sample, whose last layer starts at zero.

    A network that starts at zero makes a coupling layer start as the identity.

    Attributes:
        weights: one matrix a layer, `(fan_out, fan_in)`.
        biases: one vector a layer, `(fan_out,)`.
    """

    weights: tuple[Float[Array, "..."], ...]
    biases: tuple[Float[Array, "..."], ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    @staticmethod
    def init(
        key: PRNGKeyArray,
        in_size: int,
        out_size: int,
        width: int,
        depth: int,
        activation: Callable[[Array], Array] = jnp.tanh,
    ) -> "MLP":
        """A network of `depth` hidden layers of `width` units, with LeCun's initialisation."""
        sizes = [in_size, *[width] * depth, out_size]
        initialise = jax.nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
        weights = [initialise(k, (m, n)) for k, n, m in zip(jax.random.split(key, depth + 1), sizes, sizes[1:])]
        weights[-1] = jnp.zeros_like(weights[-1])
        return MLP(tuple(weights), tuple(jnp.zeros(size) for size in sizes[1:]), activation)

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        for weight, bias in zip(self.weights[:-1], self.biases[:-1]):
            x = self.activation(weight @ x + bias)
        return self.weights[-1] @ x + self.biases[-1]
