"""Products of manifolds."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.errors import UserError
from pushforward.manifolds.base import Manifold
from pushforward.manifolds.noise import Noise
from pushforward.types import PRNGKeyArray


class Product(Manifold):
    """Independent copies of one manifold, each in dimensions of its own: of segments a cube, of circles a flat torus.

    Attributes:
        factor: the manifold.
        count: how many copies, at least 1.

    Raises:
        UserError: `count` is below 1.
    """

    factor: Manifold
    count: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        if self.count < 1:
            raise UserError(f"a product has at least 1 factor, got {self.count}")

    @property
    def dim(self) -> int:
        return self.count * self.factor.dim

    @property
    def ambient_dim(self) -> int:
        return self.count * self.factor.ambient_dim

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        return self.factor.sample(key, (*shape, self.count)).reshape(*shape, self.ambient_dim)

    def log_density(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
        return jnp.sum(self.factor.log_density(self._split(points)), axis=-1)

    def log_convolution(self, x: Float[Array, " k"], noise: Noise, scale: Float[Array, ""]) -> Float[Array, ""]:
        return jnp.sum(jax.vmap(lambda part: self.factor.log_convolution(part, noise, scale))(self._split(x)))

    def admits(self, noise: Noise) -> bool:
        return self.factor.admits(noise)

    def _split(self, points: Array) -> Array:
        return points.reshape(*points.shape[:-1], self.count, self.factor.ambient_dim)
