"""The densities of states of a fitted flow, beside those of what it was fitted to."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward import states
from pushforward.data import Dataset
from pushforward.dequantize import Dequantized
from pushforward.distributions import Distribution, Pushforward
from pushforward.drawing.states import curves
from pushforward.drawing.style import Drawing
from pushforward.drawing.text import number, with_interval
from pushforward.errors import UserError
from pushforward.states import DensityOfStates
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

DRAWS = 4096
REPLICATES = 40
HEADING = "Log-densities of draws"

Entry = tuple[str, str, str, Drawing | None]


def beside_data(
    data: Dataset, model: Distribution | Dequantized, log_densities: Float[np.ndarray, " n"], rows: int
) -> Entry:
    """The density of states of a flow and that of its data, as an entry of a report.

    Args:
        data: of images, log-densities are of their grey levels.
        model: the flow.
        log_densities: of draws of the flow, for images of the dequantised one, in [0, 1].
        rows: how many test rows are looked at.
    """
    test = data.test[:rows]
    dim = math.prod(data.shape)
    try:
        own = _own(model, log_densities)
        held_out = states.from_data(model, test) if data.log_density is None else _true(data, test)
    except UserError:  # a log-density is NaN, or infinite: the results say so
        return "states", HEADING, "", None
    known = "true log-density" if data.log_density is not None else "log-density under the flow"
    if data.levels is not None:
        known = "lower bound of the log-probability"
    noun = "rows" if data.levels is None else "images"
    caption = (
        f"The law of the log-density of draws of the flow, and the law of the {known} at {len(test):,} test {noun}. "
        f"{_distances(held_out, own)}"
    )
    if data.levels is None:
        caption += f" {_bound(held_out, dim, f'the test {noun}')}"
    return "states", HEADING, caption, curves([(f"test {noun}", held_out), ("flow", own)])


def beside_target(target: Target, flow: Pushforward, key: PRNGKeyArray) -> Entry:
    """The density of states of a flow and that of its target, where that can be drawn from, as an entry of a report."""
    key_flow, key_target = jax.random.split(key)
    try:
        own = states.density_of_states(flow, key_flow, DRAWS)
        if target.sample is None or target.log_z is None:
            caption = "The law of the log-density of draws of the flow; the target cannot be drawn from exactly."
            return "states", HEADING, caption, curves([("flow", own)])
        exact = states.from_log_densities(_log_densities(target, key_target) - target.log_z)
    except UserError:  # a log-density is NaN, or infinite: the results say so
        return "states", HEADING, "", None
    caption = (
        f"The laws of the log-density of {DRAWS:,} exact draws of the target and of draws of the flow. "
        f"{_distances(exact, own)} {_bound(exact, target.dim, 'the target')}"
    )
    return "states", HEADING, caption, curves([("target", exact), ("flow", own)])


def _own(model: Distribution | Dequantized, log_densities: Float[np.ndarray, " n"]) -> DensityOfStates:
    """That of the flow: of its base, shifted, where its volume is constant, else that of its draws."""
    flow = model.flow if isinstance(model, Dequantized) else model
    own = states.closed_form(flow) or states.from_log_densities(log_densities)
    return own.shift(-math.prod(flow.shape) * math.log(model.noise.levels)) if isinstance(model, Dequantized) else own


def _true(data: Dataset, rows: Float[np.ndarray, "n D"]) -> DensityOfStates:
    assert data.log_density is not None
    return states.from_log_densities(eqx.filter_jit(jax.vmap(data.log_density))(jnp.asarray(rows)))


@eqx.filter_jit
def _log_densities(target: Target, key: PRNGKeyArray) -> Float[Array, " n"]:
    assert target.sample is not None
    return target.log_densities(target.sample(key, DRAWS))


def _distances(a: DensityOfStates, b: DensityOfStates) -> str:
    plain, centred = (number(distance(a, b)) for distance in (states.wasserstein, states.centred_wasserstein))
    if plain is None:
        return "W1 between the two is infinite: the density of the flow is 0 at a part of the test set."
    return f"W1 between the two is {plain} nats, and {centred} nats once both have the mean 0."


def _bound(law: DensityOfStates, dim: int, of_what: str) -> str:
    if law.zero_mass:
        return ""
    bound = states.volume_preserving_bound(law, dim, replicates=REPLICATES)
    text = with_interval(bound.nats, (bound.low, bound.high))
    return f"A flow that preserves the volume of a Normal base loses at least {text} nats to {of_what} (95% interval)."
