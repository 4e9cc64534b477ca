"""Bijections inside FlowJAX (install `flowjax`)."""

from typing import ClassVar

import equinox as eqx
from flowjax.bijections import AbstractBijection
from jaxtyping import Array, Float

from pushforward.bijections import Bijection


class FlowJAXBijection(AbstractBijection):
    """A bijection of this package as one of FlowJAX's, for its chains, `Transformed` distributions and training.

    Raises:
        ValueError: the bijection changes the shape, which FlowJAX's do not.
    """

    bijection: Bijection
    shape: tuple[int, ...] = eqx.field(static=True)
    cond_shape: ClassVar[None] = None

    def __init__(self, bijection: Bijection) -> None:
        if bijection.shape != bijection.out_shape:
            raise ValueError(f"the bijection goes from shape {bijection.shape} to {bijection.out_shape}")
        self.bijection = bijection
        self.shape = bijection.shape

    def transform_and_log_det(
        self, x: Float[Array, "..."], condition: None = None
    ) -> tuple[Float[Array, "..."], Float[Array, ""]]:
        """Forward, with the log-determinant in nats."""
        return self.bijection.forward_and_log_det(x)

    def inverse_and_log_det(
        self, y: Float[Array, "..."], condition: None = None
    ) -> tuple[Float[Array, "..."], Float[Array, ""]]:
        """Backward, with the log-determinant in nats."""
        return self.bijection.inverse_and_log_det(y)
