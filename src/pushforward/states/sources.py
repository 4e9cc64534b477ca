"""Densities of states of distributions, by the best way there is, and of data under a fitted flow."""

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Shaped

from pushforward.bijections import Volume
from pushforward.dequantize import Dequantized
from pushforward.distributions import Distribution, Pushforward
from pushforward.errors import UserError
from pushforward.objectives import HeldOut
from pushforward.states.closed_forms import closed_form, constant_log_det
from pushforward.states.density import DensityOfStates, from_log_densities
from pushforward.types import PRNGKeyArray

SAMPLES = 2**17
BATCH = 2**14


def density_of_states(
    distribution: Distribution, key: PRNGKeyArray | None = None, samples: int = SAMPLES
) -> DensityOfStates:
    """The density of states of a distribution: in closed form where there is one, else by sampling.

    A flow with a constant log-determinant is never sampled: it has its base's density of states, shifted.

    Args:
        distribution: one distribution, not an ensemble.
        key: for the samples; without one only a closed form will do.
        samples: how many are drawn where there is none.

    Raises:
        UserError: there is no closed form and no key, or a log-density is NaN or +inf.

    Example:
        >>> density_of_states(flows.nice(jax.random.key(0), dim=2, length=4)).variance  # D / 2
    """
    exact = closed_form(distribution)
    if exact is not None:
        return exact
    if key is None:
        raise UserError(f"the density of states of a {type(distribution).__name__} has no closed form: give a key")
    if isinstance(distribution, Pushforward) and distribution.bijection.volume is not Volume.VARYING:
        return density_of_states(distribution.base, key, samples).shift(-constant_log_det(distribution))
    return from_draws(distribution, key, samples)


def from_draws(distribution: Distribution, key: PRNGKeyArray, samples: int = SAMPLES) -> DensityOfStates:
    """The density of states of a distribution, from `samples` of its own draws.

    Args:
        distribution: what is drawn from, and whose log density is taken.
        key: for the draws.
        samples: how many.

    Raises:
        UserError: there are no samples, or a log-density is NaN or +inf.
    """
    if samples < 1:
        raise UserError(f"samples are needed, got {samples}")
    sizes = [BATCH] * (samples // BATCH) + [samples % BATCH] * (samples % BATCH > 0)
    keys = jax.random.split(key, len(sizes))
    values = [np.asarray(_drawn_log_densities(distribution, key, size)) for key, size in zip(keys, sizes)]
    return from_log_densities(np.concatenate(values))


@eqx.filter_jit
def _drawn_log_densities(distribution: Distribution, key: PRNGKeyArray, size: int) -> Array:
    return distribution.sample_and_log_prob(key, (size,))[1]


def from_data(
    model: Distribution | Dequantized, data: Shaped[Array, "n ..."] | Shaped[np.ndarray, "n ..."]
) -> DensityOfStates:
    """The law of `log q(X)` for a fitted flow q and X from the data.

    It is the data's density of states as far as q is the data's law, and q's own as far as q's draws resemble the
    data; `density_of_states(q)` beside it shows the difference. A row where q is 0 counts as an atom at `-inf`.

    Args:
        model: q; a `Dequantized` flow gives lower bounds of log-probabilities.
        data: `(n, *event shape)`.

    Raises:
        ValueError: rows have another shape than the event.
        UserError: there is no row, or a log-density is NaN or +inf.
    """
    if not len(data):
        raise UserError("there are no data")
    return from_log_densities(_log_densities(HeldOut(jax.numpy.asarray(data)), model))


@eqx.filter_jit
def _log_densities(held_out: HeldOut, model: Distribution | Dequantized) -> Array:
    return held_out.each(model, jax.random.key(0))
