"""Flows as NumPyro distributions (extra `numpyro`)."""

from typing import Any

import numpyro.distributions as dist
from jaxtyping import Array, Float

from pushforward.distributions import Distribution


class NumPyroDistribution(dist.Distribution):
    """A distribution of this package as one of NumPyro's, for `numpyro.sample`: a prior, a guide or a likelihood.

    Example:
        >>> numpyro.sample("z", NumPyroDistribution(pushforward.load("runs/u4")))
    """

    pytree_data_fields = ("distribution",)

    def __init__(self, distribution: Distribution, *, validate_args: bool | None = None) -> None:
        self.distribution = distribution
        super().__init__(batch_shape=(), event_shape=distribution.shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        """All arrays of the event shape."""
        return dist.constraints.independent(dist.constraints.real, len(self.event_shape))

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Independent samples, `(*sample_shape, *event_shape)`."""
        return self.distribution.sample(key, sample_shape)

    def log_prob(self, value: Float[Array, "..."], intermediates: Any = None) -> Float[Array, "..."]:
        """Log-density in nats, `(*batch, *event_shape)` -> `batch`."""
        return self.distribution.log_prob(value)
