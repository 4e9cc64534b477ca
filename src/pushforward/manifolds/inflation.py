"""Manifolds thickened by noise, with their exact densities."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.distributions import Distribution, over_batch
from pushforward.errors import UserError
from pushforward.manifolds.base import Manifold
from pushforward.manifolds.noise import Noise, make_noise
from pushforward.manifolds.rotation import rotation
from pushforward.types import PRNGKeyArray


class Inflated(Distribution):
    """The law of `R ([m, 0, ..., 0] + noise)`: a point of a manifold in R^k, embedded in R^D, with fresh noise.

    The log-density is exact: that of the manifold convolved with the noise in the k dimensions it lies in, plus that of
    the noise in the D - k others. The scales are array leaves: `with_scale` replaces them in a compiled loop.

    Attributes:
        manifold: what m is drawn from.
        noise: what kind of noise.
        scale: standard deviation of the noise in the first k dimensions; None is no noise.
        normal_scale: the same in the D - k others.
        rotation: R, shape `(D, D)`; None is the identity.
        dim: D.

    Raises:
        UserError: the manifold does not fit into D dimensions, or its density with this noise is not known exactly.
    """

    manifold: Manifold
    noise: Noise
    scale: Float[Array, "..."] | None
    normal_scale: Float[Array, "..."] | None
    rotation: Float[Array, "... D D"] | None
    dim: int = eqx.field(static=True)

    def __check_init__(self) -> None:
        name, noise = type(self.manifold).__name__, type(self.noise).__name__
        if self.dim < max(1, self.manifold.ambient_dim):
            raise UserError(f"{name} needs {max(1, self.manifold.ambient_dim)} dimensions or more, got {self.dim}")
        if not self.manifold.admits(self.noise):
            raise UserError(f"the density of {name} with {noise} is not known exactly; NormalNoise is")

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.dim,)

    def with_scale(
        self, scale: float | Float[Array, ""], normal_scale: float | Float[Array, ""] | None = None
    ) -> "Inflated":
        """The same with other, positive scales, traced ones too; `normal_scale` is `scale` unless it is given.

        Args:
            scale: of the noise.
            normal_scale: of the noise across the manifold, where it is another.

        Raises:
            UserError: `normal_scale` is given for a manifold that is not flat.

        Example, noise that shrinks while a flow is trained:
            >>> schedule = optax.exponential_decay(0.3, transition_steps=1000, decay_rate=0.3, end_value=1e-3)
            >>> def loss(flow, key, step):
            ...     return -jnp.mean(flow.log_prob(data.with_scale(schedule(step)).sample(key, (32,))))
        """
        if normal_scale is not None:
            _refuse_normal_scale_if_curved(self.manifold)
        pair = jnp.asarray(scale), jnp.asarray(scale if normal_scale is None else normal_scale)
        return Inflated(self.manifold, self.noise, *pair, self.rotation, self.dim)

    def embed(self, points: Float[Array, "*batch k"]) -> Float[Array, "*batch D"]:
        """Points of the manifold in R^D, without noise."""
        pad = jnp.zeros((*points.shape[:-1], self.dim - self.manifold.ambient_dim), points.dtype)
        return self._rotate(jnp.concatenate([points, pad], axis=-1))

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        return self._rotate(self._sample_unrotated(key, shape))

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density of `x`, `(*batch, D)` -> `batch`.

        Raises:
            ValueError: `x` has another shape, or there is a dimension that neither noise nor manifold fills.
        """
        batch = self.batch_shape(x)
        if self.rotation is not None:
            x = jnp.matmul(x, self.rotation, precision=jax.lax.Precision.HIGHEST)
        return over_batch(self._log_prob_unrotated, batch, x)

    def _sample_and_log_prob(
        self, key: PRNGKeyArray, shape: tuple[int, ...]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        x = self._sample_unrotated(key, shape)
        return self._rotate(x), over_batch(self._log_prob_unrotated, shape, x)

    def _rotate(self, x: Array) -> Array:
        # At the default precision of some devices the error would be as large as the noise.
        if self.rotation is None:
            return x
        return jnp.matmul(x, self.rotation.T, precision=jax.lax.Precision.HIGHEST)

    def _sample_unrotated(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Array:
        key_point, key_noise = jax.random.split(key)
        points = self.manifold.sample(key_point, shape)
        noise = self.noise.law(self.dim).sample(key_noise, shape)
        k = self.manifold.ambient_dim
        first, rest = noise[..., :k], noise[..., k:]
        first = points if self.scale is None else points + self.scale * first
        rest = jnp.zeros_like(rest) if self.normal_scale is None else self.normal_scale * rest
        return jnp.concatenate([first, rest], axis=-1)

    def _log_prob_unrotated(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        k = self.manifold.ambient_dim
        return self._log_prob_along(x[:k]) + self._log_prob_across(x[k:], jnp.max(jnp.abs(x)))

    def _log_prob_along(self, x: Float[Array, " k"]) -> Float[Array, ""]:
        if self.scale is not None:
            return self.manifold.log_convolution(x, self.noise, self.scale)
        if not self.manifold.flat:
            raise ValueError(f"{type(self.manifold).__name__} without noise has no density in its {x.size} dimensions")
        return self.manifold.log_density(x)

    def _log_prob_across(self, x: Float[Array, " rest"], size: Float[Array, ""]) -> Float[Array, ""]:
        if x.size == 0:
            return jnp.zeros(())
        if self.normal_scale is None:
            raise ValueError(f"a manifold without noise has no density in {self.dim} dimensions")
        rounding = 8 * jnp.finfo(x.dtype).eps * size / self.normal_scale
        return self.noise.log_density(x / self.normal_scale, rounding) - x.size * jnp.log(self.normal_scale)


def inflate(
    manifold: Manifold,
    ambient_dim: int,
    noise: Noise | str = "normal",
    *,
    scale: float,
    normal_scale: float | None = None,
    rotation_seed: int | None = None,
) -> Inflated:
    """A manifold in `ambient_dim` dimensions, thickened by noise.

    Args:
        manifold: `make("sphere", 5)`, `Segment.uniform()`, ...
        ambient_dim: D.
        noise: one of `NOISES`, or a `Noise`.
        scale: standard deviation of the noise. At 0 samples lie on the manifold, and there is a density only in
            dimensions that the manifold fills or `normal_scale` does.
        normal_scale: of a flat manifold, the standard deviation in the dimensions normal to it; `scale` unless given.
        rotation_seed: of the rotation; None leaves the manifold in the first dimensions.

    Raises:
        UserError: a scale is negative, there is no such noise, the manifold does not fit, its density with this noise
            is not known exactly, or it is not flat and `normal_scale` is given.

    Example:
        >>> ring = inflate(Sphere(1), 36, scale=0.01, rotation_seed=0)
        >>> x = ring.sample(jax.random.key(0), (1000,))
        >>> ring.log_prob(x)
    """
    if normal_scale is not None:
        _refuse_normal_scale_if_curved(manifold)
    turn = None if rotation_seed is None else jnp.asarray(rotation(rotation_seed, ambient_dim), jnp.result_type(float))
    return Inflated(
        manifold,
        make_noise(noise) if isinstance(noise, str) else noise,
        _checked(scale),
        _checked(scale if normal_scale is None else normal_scale),
        turn,
        ambient_dim,
    )


def _checked(scale: float) -> Array | None:
    if not 0 <= scale < float("inf"):
        raise UserError(f"a scale is 0 or a positive number, got {scale}")
    return None if scale == 0 else jnp.asarray(scale, jnp.result_type(float))


def _refuse_normal_scale_if_curved(manifold: Manifold) -> None:
    if not manifold.flat:
        raise UserError(f"{type(manifold).__name__} is not flat: tangent and normal noise have one scale")
