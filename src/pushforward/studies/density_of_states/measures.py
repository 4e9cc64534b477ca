"""What is measured of trained flows on inflated manifolds."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward import states
from pushforward.bijections import Bijection, Chain, Stack, Volume
from pushforward.distributions import Pushforward
from pushforward.evaluation.means import finite_or_none, numbers
from pushforward.studies.density_of_states.data import SHOWN, TEST, InflatedData, drawn_states
from pushforward.studies.density_of_states.training import Member
from pushforward.types import PRNGKeyArray


class Measured(eqx.Module):
    """What is read off each trained flow, with a leading axis of members.

    Attributes:
        log_q: at the test rows.
        log_q_own: at draws of the flow.
        log_q_along: on the manifold.
        optimal: `log p(x) - log p_base(f^-1(x))` at the first test rows.
        actual: the log-determinant of `f^-1` there.
        layers: mean and standard deviation over the test rows of the log-determinant of each layer of `f^-1`.
    """

    log_q: Float[Array, "..."]
    log_q_own: Float[Array, "..."]
    log_q_along: Float[Array, "..."]
    optimal: Float[Array, "..."]
    actual: Float[Array, "..."]
    layers: Float[Array, "..."]


def measure(members: Member, data: list[InflatedData], key: PRNGKeyArray) -> Measured:
    """Every member after the other, so that memory does not grow with their number."""
    tests = jnp.stack([each.test for each in data])
    along = jnp.stack([each.along for each in data])
    log_p = jnp.stack(
        [jnp.full(TEST, jnp.nan) if each.log_p is None else jnp.asarray(each.log_p, tests.dtype) for each in data]
    )

    @eqx.filter_jit
    def each(arrays: Any, static: Any, tests: Array, along: Array, log_p: Array) -> Measured:
        def one(arrays: Any) -> Measured:
            member: Member = eqx.combine(arrays, static)
            flow, x = member.flow, tests[member.data]
            z, actual = jax.vmap(flow.bijection.resolve().inverse_and_log_det)(x)
            log_base = flow.base.log_prob(z)
            return Measured(
                log_base + actual,
                flow.sample_and_log_prob(jax.random.fold_in(key, member.seed), (TEST,))[1],
                flow.log_prob(along[member.data]),
                (log_p[member.data] - log_base)[:SHOWN],
                actual[:SHOWN],
                layer_log_dets(flow.bijection, x),
            )

        return jax.lax.map(one, arrays)

    arrays, static = eqx.partition(members, eqx.is_array)
    return each(arrays, static, tests, along, log_p)


def judged(data: InflatedData, flow: Pushforward, measured: Measured) -> dict[str, Any]:
    """What one trained flow is worth; None where a number is not finite, or has no meaning without noise."""
    log_q = np.asarray(measured.log_q, np.float64)
    result: dict[str, Any] = {"nll": finite_or_none(-log_q.mean()), "layers": numbers(measured.layers)}
    if data.log_p is None or data.states is None:
        return result
    gap = data.log_p - log_q
    result["kl"], result["kl_std_error"] = (
        finite_or_none(gap.mean()),
        finite_or_none(gap.std(ddof=1) / math.sqrt(len(gap))),
    )
    if data.cell.noise == "normal":
        log_q_along = np.asarray(measured.log_q_along, np.float64) - data.deflation
        result["kl_on_manifold"] = finite_or_none(float(np.mean(data.log_p_along - log_q_along)))
        if np.isfinite(log_q_along).all():
            result["states_on_manifold"] = drawn_states(states.from_log_densities(log_q_along))
    result |= {"optimal": numbers(measured.optimal), "actual": numbers(measured.actual)}
    own = _own_states(flow, np.asarray(measured.log_q_own, np.float64))
    if own is not None:
        result["w1"] = finite_or_none(states.wasserstein(data.states, own))
        result["w1_centred"] = finite_or_none(states.centred_wasserstein(data.states, own))
        result["mean_gap"] = finite_or_none(states.mean_gap(data.states, own))
        result["states"] = drawn_states(own)
    return result


def _own_states(flow: Pushforward, log_q: Float[np.ndarray, " n"]) -> states.DensityOfStates | None:
    """That of the flow itself: of its base, shifted, where its volume is constant; None where a number overflowed."""
    if not np.isfinite(log_q).all():
        return None
    exact = states.closed_form(flow) if flow.bijection.volume is not Volume.VARYING else None
    return states.from_log_densities(log_q) if exact is None else exact


def layer_log_dets(bijection: Bijection, x: Float[Array, "n D"]) -> Float[Array, "layers 2"]:
    """Mean and standard deviation over rows of the log-determinant of each layer of `f^-1`, the data's side first.

    Only the layers of a `Stack` are told apart, in a `Chain` too.
    """
    parts = bijection.bijections[::-1] if isinstance(bijection, Chain) else (bijection,)
    spreads = []
    for part in parts:
        if isinstance(part, Stack):

            def step(x: Array, layer: Bijection) -> tuple[Array, Array]:
                x, log_det = jax.vmap(layer.inverse_and_log_det)(x)
                return x, jnp.stack([log_det.mean(), log_det.std()])

            x, each = _scan_back(step, x, part)
        else:
            x, log_det = jax.vmap(part.inverse_and_log_det)(x)
            each = jnp.stack([log_det.mean(), log_det.std()])[None]
        spreads.append(each)
    return jnp.concatenate(spreads)


def _scan_back(step: Callable[[Array, Bijection], tuple[Array, Array]], x: Array, stack: Stack) -> tuple[Array, Array]:
    arrays, static = eqx.partition(stack.layers, eqx.is_array)
    return jax.lax.scan(lambda x, layer: step(x, eqx.combine(layer, static)), x, arrays, reverse=True)
