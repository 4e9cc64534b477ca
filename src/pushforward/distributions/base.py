"""The contract of every distribution."""

from abc import abstractmethod
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.border import Shape, batch_of, check_arrays, identity_hash, in_one_dtype
from pushforward.boxes import Box
from pushforward.devices import refuse_wrong_sums
from pushforward.types import Numbers, PRNGKeyArray

refuse_wrong_sums()

T = TypeVar("T")


class Distribution(eqx.Module):
    """A distribution with a density that can be evaluated and sampled.

    Every method takes and gives batches: samples have shape `(*batch, *event shape)`, log-densities `batch`, in nats.
    A subclass gives `shape`, `_sample` and `_log_prob`, whose `x` is an array of the dtype of the parameters, and
    `_sample_and_log_prob` where both together cost less.
    """

    def __check_init__(self) -> None:
        check_arrays(self)

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Event shape: the shape of one sample."""

    @property
    def support(self) -> Box:
        """The smallest box known to hold every sample; the density is 0 outside."""
        return Box.whole(self.shape)

    @abstractmethod
    def _sample(self, key: PRNGKeyArray, shape: tuple[int, ...]) -> Float[Array, "..."]: ...

    @abstractmethod
    def _log_prob(self, x: Float[Array, "..."]) -> Float[Array, "..."]: ...

    def _sample_and_log_prob(
        self, key: PRNGKeyArray, shape: tuple[int, ...]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        x = self._sample(key, shape)
        return x, self._log_prob(x)

    def sample(self, key: PRNGKeyArray, shape: Shape = ()) -> Float[Array, "..."]:
        """Independent samples, `(*shape, *event shape)`; a number for `shape` is one axis.

        Args:
            key: for the draws.
            shape: of the batch; one sample, without a batch axis, unless given.
        """
        (distribution,) = in_one_dtype(self)
        return distribution._sample(key, batch_of(shape))

    def log_prob(self, x: Numbers) -> Float[Array, "..."]:
        """Log-density of `x`, `(*batch, *event shape)` -> `batch`; -inf where `x` is infinite, NaN where it is NaN.

        Numbers of any real type, lists and data frames are taken, and computed with in the dtype of the parameters.
        A finite `x` so large that its square overflows may have the log-density -inf too.

        Raises:
            ValueError: the trailing axes of `x` are not the event shape, or it is not made of real numbers.
        """
        distribution, x = in_one_dtype(self, x)
        batch = self.batch_shape(x)
        event = tuple(range(len(batch), x.ndim))
        infinite = jnp.any(jnp.isinf(x), event, keepdims=True)
        undefined = jnp.any(jnp.isnan(x), event)
        value = distribution._log_prob(jnp.where(infinite, 0, x))
        # Beyond this squares overflow, and inf - inf is what is left of a density of 0.
        far = jnp.any(jnp.abs(x) > 0.1 * jnp.finfo(x.dtype).max ** 0.5, event)
        value = jnp.where(far & (infinite.reshape(batch) | jnp.isnan(value)), -jnp.inf, value)
        return jnp.where(undefined, jnp.nan, value)

    def sample_and_log_prob(
        self, key: PRNGKeyArray, shape: Shape = ()
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """Samples and their log-densities, without inverting anything.

        Args:
            key: for the draws.
            shape: of the batch; one sample, without a batch axis, unless given.
        """
        (distribution,) = in_one_dtype(self)
        return distribution._sample_and_log_prob(key, batch_of(shape))

    def batch_shape(self, x: Float[Array, "..."]) -> tuple[int, ...]:
        """The leading axes of `x`, once its trailing axes are known to be the event shape."""
        split = x.ndim - len(self.shape)
        if split < 0 or x.shape[split:] != self.shape:
            raise ValueError(f"expected samples of event shape {self.shape}, got an array of shape {x.shape}")
        return x.shape[:split]

    __hash__ = identity_hash


def over_batch(function: Callable[..., T], batch: tuple[int, ...], *arrays: Array) -> T:
    """`function` of one sample, applied over the leading `batch` axes of every array.

    Args:
        function: of one sample.
        batch: the leading axes.
        arrays: the arguments of `function`, each with these axes.
    """
    flat = [array.reshape(-1, *array.shape[len(batch) :]) for array in arrays]
    return jax.tree.map(lambda leaf: leaf.reshape(*batch, *leaf.shape[1:]), jax.vmap(function)(*flat))
