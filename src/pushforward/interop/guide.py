"""A flow as a guide of NumPyro (extra `numpyro`): for its SVI, and in front of its NUTS by NeuTra."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import numpyro
import numpyro.distributions as dist
from jaxtyping import Array, Float
from numpyro.distributions.transforms import Transform
from numpyro.infer.autoguide import AutoContinuous
from numpyro.infer.initialization import init_to_median

from pushforward.bijections import Bijection, Chain, DiagonalAffine
from pushforward.distributions import Normal, Pushforward, over_batch
from pushforward.types import PRNGKeyArray


class AutoFlow(AutoContinuous):
    """A guide whose posterior, in NumPyro's unconstrained coordinates, is a flow.

    Its parameters are those of the flow, one `numpyro.param` that is a pytree. After training, `NeuTraReparam(guide,
    params)` lets NumPyro's samplers move behind the flow.

    Args:
        model: a NumPyro model without local latent sites of subsampled plates.
        make_flow: from a key and the number of dimensions to a flow on a Normal base.
        key: for the start of the flow.
        prefix: of the names of the guide's sites.
        init_loc_fn: how the sites of the model are started while its structure is found.

    Raises:
        ValueError: while it is run: the flow has another shape, or another base than a Normal.

    Example:
        >>> guide = AutoFlow(model, lambda key, dim: flows.real_nvp(key, dim, 4), key=jax.random.key(0))
        >>> svi = SVI(model, guide, optax.adam(1e-3), Trace_ELBO(num_particles=16))
    """

    def __init__(
        self,
        model: Callable[..., Any],
        make_flow: Callable[[PRNGKeyArray, int], Pushforward],
        *,
        key: PRNGKeyArray,
        prefix: str = "auto",
        init_loc_fn: Callable[..., Any] = init_to_median,
    ) -> None:
        self.make_flow, self.key = make_flow, key
        super().__init__(model, prefix=prefix, init_loc_fn=init_loc_fn)

    def _get_posterior(self) -> dist.TransformedDistribution:
        flow = self.make_flow(self.key, self.latent_dim)
        if flow.shape != (self.latent_dim,):
            raise ValueError(f"the flow has event shape {flow.shape}, the model has {self.latent_dim} coordinates")
        if not isinstance(flow.base, Normal):
            raise ValueError(f"the base of a guide is Normal, got {type(flow.base).__name__}")
        start, static = eqx.partition(flow, eqx.is_inexact_array)
        trained = eqx.combine(numpyro.param(f"{self.prefix}_flow", start), static)
        base = DiagonalAffine(trained.base.loc, trained.base.log_scale)
        return dist.TransformedDistribution(self.get_base_dist(), FlowTransform(Chain((base, trained.bijection))))

    def get_base_dist(self) -> dist.Distribution:
        """N(0, I)."""
        return dist.Normal(jax.numpy.zeros(self.latent_dim), 1).to_event(1)


class FlowTransform(Transform):
    """A bijection of vectors as one of NumPyro's transforms."""

    domain = dist.constraints.real_vector
    codomain = dist.constraints.real_vector

    def __init__(self, bijection: Bijection) -> None:
        self.bijection = bijection

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        """`(*batch, D)` -> `(*batch, D)`."""
        return self.call_with_intermediates(x)[0]

    def call_with_intermediates(self, x: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The images, and the log-determinants, which are found at once."""
        return over_batch(self.bijection.resolve().forward_and_log_det, x.shape[:-1], x)

    def _inverse(self, y: Float[Array, "..."]) -> Float[Array, "..."]:
        return over_batch(self.bijection.resolve().inverse, y.shape[:-1], y)

    def log_abs_det_jacobian(
        self, x: Float[Array, "..."], y: Float[Array, "..."], intermediates: Any = None
    ) -> Float[Array, "..."]:
        """Log-determinant at `x`, `(*batch, D)` -> `batch`."""
        return self.call_with_intermediates(x)[1] if intermediates is None else intermediates

    def eq(self, other: object, static: bool = False) -> Any:
        """Whether the other has the same bijection."""
        return isinstance(other, FlowTransform) and bool(eqx.tree_equal(self.bijection, other.bijection))

    def tree_flatten(self) -> Any:
        """The bijection is what may be traced."""
        return (self.bijection,), (("bijection",), {})
