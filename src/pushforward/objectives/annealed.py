"""Divergences that punish a flow for what it misses, from draws that are annealed from the flow to the target.

Midgley, Stimper, Simm, Schölkopf & Hernández-Lobato, 2023, "Flow annealed importance sampling bootstrap" (FAB).
"""

from collections.abc import Callable
from typing import Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from pushforward.batches import divided
from pushforward.distributions import Pushforward
from pushforward.evaluation.ais import ais
from pushforward.objectives.base import Remembering
from pushforward.types import PRNGKeyArray

Divergence = Literal["alpha", "forward-kl"]
OBJECTIVES: dict[Divergence, float] = {"alpha": 2.0, "forward-kl": 1.0}
"""The inverse temperature at which the draws of each divergence end, on the path from the flow through the target."""

ACCEPTANCE, RATE, SMALLEST, LARGEST = 0.65, 0.1, 1e-4, 1.0
MOST_CORRECTED = 10.0
LEAST_ESS, HALVINGS = 0.1, 16


class Buffer(NamedTuple):
    """Draws to train on, of which those of large weight are taken more often.

    Attributes:
        x: draws in the coordinates of the target, `(n, D)`.
        log_weights: of each, for what the divergence takes draws from.
        log_q: log density of the flow when the weight was made.
        exponent: of the weights, at most 1, so that a tenth of the draws count (`LEAST_ESS`).
        log_steps: logarithms of the step sizes of the chains, one a temperature.
        next: where the next draws go.
    """

    x: Float[Array, "n D"]
    log_weights: Float[Array, " n"]
    log_q: Float[Array, " n"]
    exponent: Float[Array, ""]
    log_steps: Float[Array, " temperatures"]
    next: Int[Array, ""]


class Annealed(Remembering):
    """A divergence of the target from the flow, on draws of annealed importance sampling that a buffer keeps.

    The alpha = 2 divergence `log E_p[p / q]` is what the variance of importance weights is made of; its draws end at
    `p^2 / q`, where the flow is thin. `KL(p || q)` takes draws from p. Both are minimised by `-E[log q]` over draws of
    the buffer that are chosen by their weights; of alpha those follow the flow (equation 10). While the flow is far, a
    few weights are all that count: they are tempered until a tenth of the draws do, as in adaptive sequential Monte
    Carlo, and are themselves once the flow is near.

    Attributes:
        log_density: unnormalised, of one point, in nats.
        divergence: which of the two.
        batch_size: draws of a step.
        every: steps between two runs of the chains, which bring as many draws as a step takes.
        temperatures: of the chains between the flow and their end.
        leapfrog_steps: at each.
        length: draws that the buffer keeps, in batches.
    """

    log_density: Callable[[Float[Array, " D"]], Float[Array, ""]] = eqx.field(static=True)
    divergence: Divergence = eqx.field(static=True)
    batch_size: int = eqx.field(static=True)
    every: int = eqx.field(static=True, default=4)
    temperatures: int = eqx.field(static=True, default=4)
    leapfrog_steps: int = eqx.field(static=True, default=5)
    length: int = eqx.field(static=True, default=64)

    def start(self, model: Pushforward, key: PRNGKeyArray) -> Buffer:
        """A full buffer of draws annealed from the untrained flow.

        Args:
            model: the flow.
            key: for the chains.
        """
        size = self.length * self.batch_size
        dtype = jnp.result_type(float)
        empty = Buffer(
            x=jnp.zeros((size, *model.shape), dtype),
            log_weights=jnp.full(size, -jnp.inf, dtype),
            log_q=jnp.zeros(size, dtype),
            exponent=jnp.ones((), dtype),
            log_steps=jnp.full(self.temperatures, jnp.log(0.2), dtype),
            next=jnp.zeros((), int),
        )
        keys = jax.random.split(key, self.length)
        return lax.fori_loop(0, self.length, lambda index, buffer: self._refilled(model, buffer, keys[index]), empty)

    def __call__(
        self, model: Pushforward, memory: Buffer, key: PRNGKeyArray, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], Buffer]:
        """The loss of one step, and the buffer with the weights, and perhaps the draws, brought up to date."""
        key_refill, key_rows = jax.random.split(key)
        buffer = lax.cond(
            step % self.every == 0,
            lambda buffer: self._refilled(lax.stop_gradient(model), buffer, key_refill),
            lambda buffer: buffer,
            memory,
        )
        rows = _chosen(key_rows, buffer.exponent * buffer.log_weights, self.batch_size)
        log_q = model.log_prob(divided(buffer.x[rows]))
        if self.divergence == "forward-kl":
            return -jnp.mean(log_q), buffer
        risen = buffer.log_q[rows] - lax.stop_gradient(log_q)
        loss = -jnp.mean(jnp.minimum(jnp.exp(risen), MOST_CORRECTED) * log_q)
        # A draw that was chosen twice gets the same numbers twice.
        updated = buffer.log_weights[rows] + risen
        return loss, buffer._replace(
            log_weights=buffer.log_weights.at[rows].set(updated),
            log_q=buffer.log_q.at[rows].set(lax.stop_gradient(log_q)),
        )

    def _refilled(self, model: Pushforward, buffer: Buffer, key: PRNGKeyArray) -> Buffer:
        """The buffer with its oldest draws replaced by fresh ones, and step sizes nearer to the wanted acceptance."""
        betas = jnp.linspace(0.0, OBJECTIVES[self.divergence], self.temperatures + 2)
        found = ais(
            self.log_density,
            model,
            betas,
            jnp.exp(buffer.log_steps),
            key,
            chains=self.batch_size,
            leapfrog_steps=self.leapfrog_steps,
        )
        x, log_q = found.points, model.log_prob(found.points)
        usable = jnp.isfinite(found.log_weights) & jnp.isfinite(log_q)
        log_steps = buffer.log_steps + RATE * (jnp.nan_to_num(found.acceptance) - ACCEPTANCE)
        log_weights = lax.dynamic_update_slice_in_dim(
            buffer.log_weights, jnp.where(usable, found.log_weights, -jnp.inf), buffer.next, 0
        )
        return Buffer(
            x=lax.dynamic_update_slice_in_dim(buffer.x, jnp.where(usable[:, None], x, 0.0), buffer.next, 0),
            log_weights=log_weights,
            log_q=lax.dynamic_update_slice_in_dim(buffer.log_q, jnp.where(usable, log_q, 0.0), buffer.next, 0),
            exponent=_exponent(log_weights),
            log_steps=jnp.clip(log_steps, jnp.log(SMALLEST), jnp.log(LARGEST)),
            next=(buffer.next + self.batch_size) % len(buffer.x),
        )


def _exponent(log_weights: Float[Array, " n"]) -> Float[Array, ""]:
    """The largest exponent up to 1 of weights at which their ESS is a tenth of the draws that have any, by halving."""
    centred = log_weights - jnp.max(log_weights)
    count = jnp.sum(jnp.isfinite(log_weights))

    def enough(exponent: Float[Array, ""]) -> Array:
        weights = jnp.where(jnp.isfinite(centred), jnp.exp(exponent * centred), 0.0)
        return jnp.sum(weights) ** 2 >= LEAST_ESS * count * jnp.sum(weights**2)

    def halve(_: Array, interval: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = interval
        middle = (low + high) / 2
        good = enough(middle)
        return jnp.where(good, middle, low), jnp.where(good, high, middle)

    one = jnp.ones((), log_weights.dtype)
    low, _ = lax.fori_loop(0, HALVINGS, halve, (jnp.zeros_like(one), one))
    return jnp.where(enough(one), one, low)


def _chosen(key: PRNGKeyArray, log_weights: Float[Array, " n"], count: int) -> Int[Array, " count"]:
    """Indices drawn by their weights, with replacement."""
    cumulative = jnp.cumsum(jnp.exp(log_weights - jnp.max(log_weights)))
    shares = jax.random.uniform(key, (count,)) * cumulative[-1]
    return jnp.minimum(jnp.searchsorted(cumulative, shares, side="right"), len(log_weights) - 1)
