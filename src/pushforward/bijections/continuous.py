"""Continuous flows: Chen et al., 2018, "Neural Ordinary Differential Equations"; Grathwohl et al., 2019, "FFJORD"."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections.base import Bijection, Scalar, Volume, WithLogDet
from pushforward.nets import MLP
from pushforward.probes import Probe
from pushforward.types import PRNGKeyArray


class Continuous(Bijection):
    """The flow of `dx/dt = v(x, t)` from `t = 0` to `t = 1`, whose log-determinant is the integral of `tr dv/dx`.

    Solved by Diffrax with Tsitouras' 5(4) pair and adaptive steps; both directions cost the same, and agree to the
    tolerance. The trace is exact, by D derivatives, or with a `probe` Hutchinson's unbiased estimate by one.

    Attributes:
        field: `v`, a network from `(x, t)`, `D + 1` numbers, to D.
        probe: of the estimate; None for the exact trace.
        tolerance: relative and absolute, of every step.
        max_steps: of the solver; a flow that needs more gives values that are not finite.
        forward_mode: whether `jax.jvp`, `jax.jacfwd` and `jax.hessian` go through it, at the price of gradients that
            take longer: for 16, 64 and 1024 `max_steps` about 2, 7 and 80 times as long.

    Example, the Hessian of a trained flow's log-density:
        >>> layers = dataclasses.replace(flow.bijection.layers, forward_mode=True, max_steps=64)
        >>> flow = eqx.tree_at(lambda flow: flow.bijection.layers, flow, layers)
        >>> jax.hessian(flow.log_prob)(x)
    """

    field: MLP
    probe: Probe | None = None
    tolerance: float = eqx.field(static=True, default=1e-5)
    max_steps: int = eqx.field(static=True, default=1024)
    forward_mode: bool = eqx.field(static=True, default=False)

    @staticmethod
    def init(
        key: PRNGKeyArray, dim: int, width: int = 64, depth: int = 2, tolerance: float = 1e-5, exact: bool = True
    ) -> "Continuous":
        """A field with `depth` hidden layers of `width` units that starts at zero: the identity.

        Args:
            key: for the random start.
            dim: dimensions D.
            width: hidden units of the field.
            depth: hidden layers of the field.
            tolerance: of the solver, relative and absolute.
            exact: the trace by D derivatives, or Hutchinson's unbiased estimate.
        """
        key_net, key_probe = jax.random.split(key)
        field = MLP.init(key_net, dim + 1, dim, width, depth)
        return Continuous(field, None if exact else Probe.init(key_probe), tolerance)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.field.biases[-1].shape[-1:]

    @property
    def volume(self) -> Volume:
        return Volume.VARYING

    def _forward_and_log_det(self, x: Float[Array, "..."]) -> WithLogDet:
        return self._solve(x, 0.0, 1.0)

    def _inverse_and_log_det(self, y: Float[Array, "..."]) -> WithLogDet:
        return self._solve(y, 1.0, 0.0)

    def _solve(self, start: Float[Array, " D"], t0: float, t1: float) -> tuple[Float[Array, " D"], Scalar]:
        import diffrax

        _forget_shardings()
        vector = None
        if self.probe is not None:
            vector = jax.random.rademacher(self.probe.key(jax.lax.stop_gradient(start)), start.shape, start.dtype)

        def rates(t: Any, state: tuple[Array, Array], args: tuple[MLP, Array | None]) -> tuple[Array, Array]:
            network, vector = args
            x, _ = state

            def field(x: Array) -> Array:
                return network(jnp.append(x, t))

            if vector is None:
                return field(x), jnp.trace(jax.jacfwd(field)(x))
            velocity, along = jax.jvp(field, (x,), (vector,))
            return velocity, jnp.sum(vector * along)

        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(rates),
            diffrax.Tsit5(),
            jnp.asarray(t0, start.dtype),
            jnp.asarray(t1, start.dtype),
            dt0=None,
            y0=(start, jnp.zeros((), start.dtype)),
            args=(self.field, vector),
            stepsize_controller=diffrax.PIDController(rtol=self.tolerance, atol=self.tolerance),
            max_steps=self.max_steps,
            adjoint=diffrax.DirectAdjoint() if self.forward_mode else diffrax.RecursiveCheckpointAdjoint(),
            throw=False,
        )
        end, log_det = (leaf[-1] for leaf in solution.ys)
        # A flow that was not followed to its end has no value.
        failed = solution.result != diffrax.RESULTS.successful
        return jnp.where(failed, jnp.nan, end), jnp.where(failed, jnp.nan, log_det)


def _forget_shardings() -> None:
    """Let Equinox's loops be differentiated within `jax.shard_map`, in which `training.fit` runs.

    Under JAX 0.12, Equinox 0.13.8 compares the arguments of a loop's body with their examples by where they are too,
    which within a mesh differs between a number that is known and one that is traced, and refuses them.
    """
    from equinox import _ad

    def struct(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)

    _ad._strip_weak_dtype = lambda tree: jax.tree.map(struct, tree)
