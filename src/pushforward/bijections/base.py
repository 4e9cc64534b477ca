"""The contract of every bijection, and what its log-determinant may do."""

from abc import abstractmethod
from enum import IntEnum

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.devices import refuse_wrong_sums

refuse_wrong_sums()

Scalar = Float[Array, ""]


class Volume(IntEnum):
    """What the log-determinant of a bijection does over its domain, from least to most free.

    Attributes:
        PRESERVING: it is 0 everywhere.
        CONSTANT: it is one number everywhere.
        VARYING: it depends on the point.
    """

    PRESERVING = 0
    CONSTANT = 1
    VARYING = 2


class Bijection(eqx.Module):
    """An invertible differentiable map of **one** sample, with its log-determinant in nats.

    Batches are `jax.vmap`'s work. A subclass gives `shape`, `volume`, `forward_and_log_det` and `inverse_and_log_det`,
    and `out_shape` where the map changes the shape.
    """

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Event shape: the shape of one sample that goes in."""

    @property
    def out_shape(self) -> tuple[int, ...]:
        """The shape of one sample that comes out."""
        return self.shape

    @property
    @abstractmethod
    def volume(self) -> Volume:
        """What the log-determinant does over the domain."""

    @abstractmethod
    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        """`f(x)` and `log |det df/dx|` at `x`."""

    @abstractmethod
    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        """`f^-1(y)` and `log |det df^-1/dy|` at `y`."""

    def forward(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`f(x)`."""
        return self.forward_and_log_det(x)[0]

    def inverse(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        """`f^-1(y)`."""
        return self.inverse_and_log_det(y)[0]

    def resolve(self) -> "Bijection":
        """The same map with its constrained parameters computed, so that a batch or a scan computes them once."""
        return self

    def calibrate(self, y: Float[Array, "n ..."]) -> tuple["Bijection", Float[Array, "n ..."]]:
        """The same kind of map, started from a batch of outputs `y`, and the inputs that they come from.

        Only `ActNorm`, and what is made with it, depends on the data; other maps stay as they are.
        """
        return self, jax.vmap(self.resolve().inverse)(y)

    def push_score(
        self, x: Float[Array, "..."], score: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Scalar, Float[Array, "..."]]:
        """`f(x)`, the log-determinant, and the score of the pushed-forward density at `f(x)`.

        `score` is the gradient of a log density at `x`; the result is `J^-T (score - grad log_det)`, found without
        inverting `f` where a subclass can (Vaitl et al., 2024, "Fast and unified path gradient estimators for
        normalizing flows").
        """
        y, log_det = self.forward_and_log_det(x)
        _, pull_back = jax.vjp(self.inverse_and_log_det, y)
        (score,) = pull_back((score, jnp.ones_like(log_det)))
        return y, log_det, score


class Unconstrained(Bijection):
    """A bijection stored by unconstrained parameters, whose constrained twin `resolve` does the work."""

    @abstractmethod
    def resolve(self) -> Bijection:
        """The same map with its constrained parameters computed."""

    def forward_and_log_det(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.resolve().forward_and_log_det(x)

    def inverse_and_log_det(self, y: Float[Array, "..."]) -> tuple[Float[Array, "..."], Scalar]:
        return self.resolve().inverse_and_log_det(y)

    def push_score(
        self, x: Float[Array, "..."], score: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Scalar, Float[Array, "..."]]:
        return self.resolve().push_score(x, score)
