"""Normalizing flows: the pushforward of a distribution through a bijection."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections import Bijection
from pushforward.border import Shape, batch_of, in_one_dtype
from pushforward.boxes import Box
from pushforward.distributions.base import Distribution, over_batch
from pushforward.types import Numbers, PRNGKeyArray


class Pushforward(Distribution):
    """The law of `bijection.forward(z)` for `z` drawn from `base`: `log p(x) = log p_base(z) - log |det df/dz|`.

    `sample_and_log_prob` runs the bijection forward only; `log_prob` inverts it.

    Raises:
        ValueError: base and bijection have different event shapes.

    Example:
        >>> flow = Pushforward(Normal.standard(2), Planar.init(jax.random.key(0), dim=2))
        >>> x, log_prob = flow.sample_and_log_prob(jax.random.key(1), (1000,))
    """

    base: Distribution
    bijection: Bijection

    def __check_init__(self) -> None:
        if self.base.shape != self.bijection.shape:
            raise ValueError(f"base has event shape {self.base.shape}, bijection {self.bijection.shape}")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.bijection.out_shape

    @property
    def support(self) -> Box:
        return self.bijection.image(self.base.support)

    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]:
        return over_batch(self.bijection.resolve().forward, shape, self.base.sample(key, shape))

    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        batch = self.batch_shape(x)
        z, log_det = over_batch(self.bijection.resolve().inverse_and_log_det, batch, x)
        return self.base.log_prob(z) + log_det

    def _sample_and_log_prob(
        self, key: PRNGKeyArray, shape: tuple[int, ...]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        z, log_prob = self.base.sample_and_log_prob(key, shape)
        x, log_det = over_batch(self.bijection.resolve().forward_and_log_det, shape, z)
        return x, log_prob - log_det

    def __repr__(self) -> str:
        """What it is of, whether it preserves volume, how many numbers can be trained; then its parts."""
        count = sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(self, eqx.is_inexact_array)))
        volume = self.bijection.volume.name.lower()
        return f"# event shape {self.shape}, volume {volume}, {count:,} parameters\n{eqx.tree_pformat(self)}"

    def calibrated(self, x: Numbers) -> "Pushforward":
        """The same flow with its activation normalisation, if it has any, started from a batch of data."""
        return Pushforward(self.base, self.bijection.calibrate(x)[0])

    def sample_and_score(
        self, key: PRNGKeyArray, shape: Shape = ()
    ) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
        """Samples, their log-densities, and the gradient of the log-density at each, without inverting anything.

        Args:
            key: for the draws.
            shape: of the batch; one sample, without a batch axis, unless given.
        """
        (flow,) = in_one_dtype(self)
        batch = batch_of(shape)
        z, log_prob = flow.base.sample_and_log_prob(key, batch)
        score = jax.grad(lambda z: jnp.sum(flow.base.log_prob(z)))(z)
        x, log_det, score = over_batch(flow.bijection.resolve().push_score, batch, z, score)
        return x, log_prob - log_det, score
