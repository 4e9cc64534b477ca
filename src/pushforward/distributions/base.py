"""The contract of every distribution."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, PRNGKeyArray

from pushforward.devices import refuse_wrong_sums

refuse_wrong_sums()

T = TypeVar("T")


class Distribution(eqx.Module):
    """A distribution with a density that can be evaluated and sampled.

    Every method takes and gives batches: samples have shape `(*batch, *event shape)`, log-densities `batch`, in nats.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Event shape: the shape of one sample."""

    @abstractmethod
    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Independent samples, `(*shape, *event shape)`."""

    @abstractmethod
    def log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density of `x`, `(*batch, *event shape)` -> `batch`.

        Raises:
            ValueError: the trailing axes of `x` are not the event shape.
        """

    def sample_and_log_prob(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = ()
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Samples and their log-densities, without inverting anything."""
        x = self.sample(key, shape)
        return x, self.log_prob(x)

    def batch_shape(self, x: Float[Array, "..."]) -> tuple[int, ...]:
        """The leading axes of `x`, once its trailing axes are known to be the event shape."""
        split = x.ndim - len(self.shape)
        if split < 0 or x.shape[split:] != self.shape:
            raise ValueError(f"expected samples of event shape {self.shape}, got an array of shape {x.shape}")
        return x.shape[:split]


def over_batch(function: Callable[..., T], batch: tuple[int, ...], *arrays: Array) -> T:
    """`function` of one sample, applied over the leading `batch` axes of every array."""
    flat = [array.reshape(-1, *array.shape[len(batch) :]) for array in arrays]
    result: T = jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), jax.vmap(function)(*flat))
    return result
