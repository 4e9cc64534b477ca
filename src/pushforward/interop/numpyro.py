"""Flows as NumPyro distributions (extra `numpyro`)."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpyro.distributions as dist
from jaxtyping import Array, Bool, Float
from numpyro.distributions.transforms import Transform, biject_to
from numpyro.distributions.util import validate_sample

from pushforward.bijections import OntoBox
from pushforward.border import concrete
from pushforward.boxes import Box
from pushforward.distributions import Distribution, over_batch


class NumPyroDistribution(dist.Distribution):
    """A distribution of this package as one of NumPyro's, for `numpyro.sample`: a prior, a guide or a likelihood.

    Its support is the box in which the distribution has its mass, so that NUTS and the guides of NumPyro work in
    coordinates without bounds: a flow that ends in `Exp` is positive, angles lie in [-pi, pi], a Bernoulli law is
    discrete.

    Example:
        >>> numpyro.sample("z", NumPyroDistribution(pushforward.load("runs/u4")))
    """

    pytree_data_fields = ("distribution",)

    def __init__(self, distribution: Distribution, *, validate_args: bool | None = None) -> None:
        self.distribution = distribution
        super().__init__(batch_shape=(), event_shape=distribution.shape, validate_args=validate_args)

    @property
    def support(self) -> Any:
        """The box in which the distribution has its mass, as a constraint."""
        box = self.distribution.support
        if box.integers:
            whole_numbers = dist.constraints.integer_interval(box.low, box.high)
            return dist.constraints.independent(whole_numbers, len(self.event_shape))
        if concrete(box.low, box.high) and box.is_whole:
            return dist.constraints.independent(dist.constraints.real, len(self.event_shape))
        return InBox(box)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Float[Array, "..."]:
        """Independent samples, `(*sample_shape, *event_shape)`."""
        return self.distribution.sample(key, sample_shape)

    @validate_sample  # type: ignore[untyped-decorator]
    def log_prob(self, value: Float[Array, "..."], intermediates: Any = None) -> Float[Array, "..."]:
        """Log-density in nats, `(*batch, *event_shape)` -> `batch`."""
        return self.distribution.log_prob(value)


class InBox(dist.constraints.Constraint):
    """A box as a constraint, which `numpyro.distributions.biject_to` knows."""

    def __init__(self, box: Box) -> None:
        self.box = box

    @property
    def event_dim(self) -> int:
        """Axes of an event."""
        return self.box.low.ndim

    def __call__(self, x: Float[Array, "..."]) -> Bool[Array, "..."]:
        """Whether each event lies in the box."""
        return self.box.contains(x)

    def feasible_like(self, prototype: Float[Array, "..."]) -> Float[Array, "..."]:
        """Points in the middle of the box."""
        return ToBox(self)(jnp.zeros_like(prototype))

    def eq(self, other: object, static: bool = False) -> Any:
        """Whether the other is a constraint to the same box."""
        return isinstance(other, InBox) and bool(eqx.tree_equal(self.box, other.box))

    def tree_flatten(self) -> Any:
        """The box is what may be traced."""
        return (self.box,), (("box",), {})


@biject_to.register(InBox)
class ToBox(Transform):
    """From all arrays of an event shape onto a box, as one of NumPyro's transforms."""

    def __init__(self, constraint: InBox) -> None:
        self.constraint = constraint

    @property
    def domain(self) -> Any:
        """All arrays."""
        return dist.constraints.independent(dist.constraints.real, self.constraint.event_dim)

    @property
    def codomain(self) -> Any:
        """The box."""
        return self.constraint

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`(*batch, *event)` -> `(*batch, *event)`."""
        return self._over_batch(lambda x: self._bijection.forward(x), x)

    def _inverse(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return self._over_batch(lambda y: self._bijection.inverse(y), y)

    def log_abs_det_jacobian(
        self, x: Float[Array, "..."], y: Float[Array, "..."], intermediates: Any = None
    ) -> Float[Array, "..."]:
        """Log-determinant at `x`, `(*batch, *event)` -> `batch`."""
        return self._over_batch(lambda x: self._bijection.forward_and_log_det(x)[1], x)

    @property
    def _bijection(self) -> OntoBox:
        return OntoBox(self.constraint.box)

    def _over_batch(self, function: Callable[[Array], Array], x: Float[Array, "..."]) -> Float[Array, "..."]:
        return over_batch(function, x.shape[: x.ndim - self.constraint.event_dim], x)

    def eq(self, other: object, static: bool = False) -> Any:
        """Whether the other goes onto the same box."""
        return isinstance(other, ToBox) and self.constraint.eq(other.constraint)

    def tree_flatten(self) -> Any:
        """The box is what may be traced."""
        return (self.constraint,), (("constraint",), {})
