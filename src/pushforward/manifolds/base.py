"""The contract of every manifold."""

from abc import abstractmethod

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.errors import UserError
from pushforward.manifolds.noise import Noise, NormalNoise
from pushforward.types import PRNGKeyArray


class Manifold(eqx.Module):
    """A compact manifold of dimension d in R^k with a probability density on it.

    `sample` and `log_density` take and give batches, as distributions do. The density is with respect to the volume of
    the manifold itself (the d-dimensional Hausdorff measure), in nats; in R^k the manifold has no density until noise
    gives it one.
    """

    @property
    @abstractmethod
    def dim(self) -> int:
        """d, the dimension of the manifold."""

    @property
    @abstractmethod
    def ambient_dim(self) -> int:
        """k, the dimension of the space that the manifold lies in."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Independent points of the manifold, `(*shape, k)`.

        Args:
            key: for the draws.
            shape: of the batch; one sample, without a batch axis, unless given.
        """

    @abstractmethod
    def log_density(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        """Log-density on the manifold at its own points; whether a point lies on it is not checked.

        Beyond the ends of a flat manifold it is `-inf`.
        """

    @abstractmethod
    def log_convolution(self, x: Float[Array, " k"], noise: Noise, scale: Float[Array, ""]) -> Float[Array, ""]:
        """Log-density at one `x` of R^k of a point of the manifold plus `scale` times the noise.

        Args:
            x: points, `(..., D)`.
            noise: law of the noise.
            scale: of the noise.
        """

    def admits(self, noise: Noise) -> bool:
        """Whether `log_convolution` is exact for this noise."""
        return isinstance(noise, NormalNoise)

    @property
    def flat(self) -> bool:
        """Whether the manifold fills the dimensions that it lies in: every one of them is tangent to it."""
        return self.dim == self.ambient_dim


def positive(value: float, name: str) -> Float[Array, ""]:
    """A length as an array, once it is known to be one."""
    if not 0 < value < float("inf"):
        raise UserError(f"a {name} is a positive number, got {value}")
    return jnp.asarray(value, jnp.result_type(float))
