"""How good a deep latent Gaussian model and its posterior are: bounds of `log p(x)`, point by point.

Each function evaluates a batch of observations at a time, so that memory depends on the size of the batch only.
"""

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from pushforward.bijections import DiagonalAffine
from pushforward.distributions import Normal, Pushforward
from pushforward.evaluation.ais import WARMUP, LogDensity, ais, reverse_ais, tune_step_sizes
from pushforward.evaluation.means import mean_and_std_error
from pushforward.models.dlgm import DLGM
from pushforward.models.objectives import draw
from pushforward.types import PRNGKeyArray

Start = Literal["prior", "posterior"]
OnProgress = Callable[[int], None]
OfEach = Callable[..., tuple[Any, ...]]
Plan = Callable[[int], tuple[OfEach, int]]
"""From how many evaluations are done at once: the function of an observation, and how many observations are a batch."""
PerObservation = Float[np.ndarray, " n"]

EVALUATIONS_AT_ONCE = 2048  # at most
UNTIL = 32  # observations between two looks at the standard error


class PosteriorStatistics(NamedTuple):
    """What draws of the posterior say of each observation, in nats; each an array `(n,)` but the last.

    Attributes:
        free_energy: `E_q[log q(z | x) - log p(x, z)]`.
        reconstruction: `E_q[-log p(x | z)]`.
        divergence_from_prior: `KL(q(z | x) || p(z))`, the rest of the free energy.
        posterior_mean: `E_q[z]`, `(n, latents)`.
    """

    free_energy: PerObservation
    reconstruction: PerObservation
    divergence_from_prior: PerObservation
    posterior_mean: Float[np.ndarray, "n latents"]


class ImportanceBound(NamedTuple):
    """Importance sampling from the posterior of each observation, arrays `(n,)`.

    Attributes:
        log_likelihood: log of the mean of S weights, in nats: a lower bound of `log p(x)` on average (Burda et al.,
            2016, "Importance weighted autoencoders").
        ess: effective sample size, `(sum w)^2 / sum w^2`.
    """

    log_likelihood: PerObservation
    ess: PerObservation


class AnnealedBound(NamedTuple):
    """Annealed importance sampling for each observation, arrays `(n,)`.

    Attributes:
        log_likelihood: log of the mean weight of the chains, in nats: a lower bound of `log p(x)` on average.
        std_error: of it, over the chains.
        acceptance: mean over chains and temperatures.
    """

    log_likelihood: PerObservation
    std_error: PerObservation
    acceptance: PerObservation


class Sandwich(NamedTuple):
    """Both bounds of `log p(x)` for observations that the model simulated itself, in nats, arrays `(n,)`.

    Attributes:
        lower: by annealed importance sampling.
        upper: by its reverse, from the latent vector that the observation was simulated from.
    """

    lower: PerObservation
    upper: PerObservation


class Annealing(eqx.Module):
    """How annealed importance sampling is done.

    Attributes:
        betas: inverse temperatures, from 0 to 1.
        chains: for each observation.
        leapfrog_steps: of a Hamiltonian trajectory.
        start: where the path begins: the prior, or the posterior of the observation.
        pilot_chains: of each observation, which tune the step sizes and are thrown away.
    """

    betas: Float[Array, " betas"]
    chains: int = eqx.field(static=True, default=16)
    leapfrog_steps: int = eqx.field(static=True, default=10)
    start: Start = eqx.field(static=True, default="posterior")
    pilot_chains: int = eqx.field(static=True, default=4)

    @property
    def evaluations(self) -> int:
        """Likelihoods evaluated with their gradients for one observation, the pilot run included."""
        transitions = len(self.betas) - 2
        chains = self.chains * (1 + self.leapfrog_steps * transitions)
        pilot = self.pilot_chains * (1 + self.leapfrog_steps * (WARMUP + transitions))
        return chains + pilot


def in_batches(
    function: OfEach,
    model: DLGM,
    inputs: tuple[Array, ...],
    size: int,
    on_progress: OnProgress | None = None,
    enough: Callable[[tuple[Any, ...]], bool] | None = None,
) -> tuple[Any, ...]:
    """`function(model, *inputs)` of one observation, for all of them, `size` at a time; the results in NumPy.

    Args:
        function: pure; it returns a tuple of pytrees of arrays. One that equals that of a call before, such as an
            `equinox.Partial` of a function of this module, is not compiled again.
        model: passed on whole.
        inputs: arrays with a leading axis of the observations.
        size: bounds the memory.
        on_progress: called after each batch with the observations done.
        enough: whether the results so far are enough, to be asked every 32 observations; all are done unless given.
    """
    n = len(inputs[0])
    size = min(size, n) if enough is None else min(size, n, UNTIL)
    parts = []
    for start in range(0, n, size):
        # The last batch is filled up with observations of the one before: one compilation serves all.
        first = min(start, n - size)
        result = jax.device_get(_of_each(function, model, tuple(array[first : first + size] for array in inputs)))
        parts.append(jax.tree.map(lambda leaf, skip=start - first: leaf[skip:], result))
        if on_progress is not None:
            on_progress(min(start + size, n))
        if enough is not None and enough(_joined(parts)):
            break
    return _joined(parts)


def _within(
    memory: int,
    plan: Plan,
    model: DLGM,
    inputs: tuple[Array, ...],
    on_progress: OnProgress | None = None,
    enough: Callable[[tuple[Any, ...]], bool] | None = None,
) -> tuple[Any, ...]:
    """`in_batches` of as many evaluations of the likelihood at once as `memory` bytes hold, 2,048 at most.

    The compiler is asked what the program of a batch holds; the first that holds few enough bytes is the one that runs.
    """
    program: Any = _of_each
    at_once = EVALUATIONS_AT_ONCE
    while True:
        function, size = plan(at_once)
        size = min(size, len(inputs[0]) if enough is None else min(len(inputs[0]), UNTIL))
        compiled = program.lower(function, model, tuple(array[:size] for array in inputs)).compile().compiled
        held = compiled.memory_analysis().temp_size_in_bytes
        if held <= memory or at_once == 1:
            return in_batches(function, model, inputs, size, on_progress, enough)
        at_once = max(1, min(at_once // 2, at_once * memory // held))


def _undivided(function: OfEach, evaluations: int) -> Plan:
    """Of a function that does all evaluations of an observation at once."""
    return lambda at_once: (function, max(1, at_once // evaluations))


@eqx.filter_jit
def _of_each(function: OfEach, model: DLGM, batch: tuple[Array, ...]) -> tuple[Any, ...]:
    return jax.vmap(lambda inputs: function(model, *inputs))(batch)


def _joined(parts: list[tuple[Any, ...]]) -> tuple[Any, ...]:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)


def _known_to(error: float | None, measure: Callable[..., PerObservation]) -> Callable[[tuple[Any, ...]], bool] | None:
    """Whether the mean of a measure of the results has at most this standard error; None where none is asked for."""
    if error is None:
        return None

    def enough(results: tuple[Any, ...]) -> bool:
        std_error = mean_and_std_error(np.asarray(measure(*results), np.float64))[1]
        return std_error is not None and std_error <= error

    return enough


def posterior_statistics(
    model: DLGM, x: Float[Array, "n D"], key: PRNGKeyArray, *, draws: int = 100, memory: int = 2**30
) -> PosteriorStatistics:
    """The free energy and its parts for every observation.

    Args:
        model: the model.
        x: observations.
        key: for the draws.
        draws: of each posterior.
        memory: bytes to stay below.
    """
    plan = _undivided(eqx.Partial(_statistics, draws), draws)
    return PosteriorStatistics(*_within(memory, plan, model, (x, jax.random.split(key, len(x)))))


def _statistics(draws: int, model: DLGM, x: Array, key: PRNGKeyArray) -> tuple[Array, ...]:
    posterior = model.posterior(x)
    z, log_posterior = posterior.sample_and_log_prob(key, (draws,))
    reconstruction = -jnp.mean(jax.vmap(lambda z: model.decoder(z).log_prob(x))(z))
    divergence = jnp.mean(log_posterior - model.prior.log_prob(z))
    return reconstruction + divergence, reconstruction, divergence, jnp.mean(z, axis=0)


def importance_bound(
    model: DLGM,
    x: Float[Array, "n D"],
    key: PRNGKeyArray,
    *,
    draws: int = 500,
    error: float | None = None,
    memory: int = 2**30,
    on_progress: OnProgress | None = None,
) -> ImportanceBound:
    """The importance-weighted bound of every observation with S = `draws`; memory does not grow with S.

    Args:
        model: the model.
        x: observations.
        key: for the draws.
        draws: of each posterior.
        error: in nats: the observations end where the mean bound has this standard error; all are taken unless given.
        memory: bytes to stay below.
        on_progress: called after each batch with the observations done.
    """

    def plan(at_once: int) -> tuple[OfEach, int]:
        part = max(divisor for divisor in range(1, at_once + 1) if draws % divisor == 0)
        return eqx.Partial(_importance, draws, part), at_once // part

    enough = _known_to(error, lambda log_likelihood, _: log_likelihood)
    return ImportanceBound(*_within(memory, plan, model, (x, jax.random.split(key, len(x))), on_progress, enough))


def _importance(draws: int, part: int, model: DLGM, x: Array, key: PRNGKeyArray) -> tuple[Array, ...]:
    def step(sums: tuple[Array, Array], key: PRNGKeyArray) -> tuple[tuple[Array, Array], None]:
        log_weights = draw(model, x, key, part).log_weights
        logs = jax.nn.logsumexp(log_weights), jax.nn.logsumexp(2 * log_weights)
        return (jnp.logaddexp(sums[0], logs[0]), jnp.logaddexp(sums[1], logs[1])), None

    nothing = jnp.full((), -jnp.inf, x.dtype)
    (log_sum, log_sum_of_squares), _ = lax.scan(step, (nothing, nothing), jax.random.split(key, draws // part))
    return log_sum - math.log(draws), jnp.exp(2 * log_sum - log_sum_of_squares)


def annealed_bound(
    model: DLGM,
    x: Float[Array, "n D"],
    key: PRNGKeyArray,
    annealing: Annealing,
    *,
    error: float | None = None,
    memory: int = 2**30,
    on_progress: OnProgress | None = None,
) -> AnnealedBound:
    """`log p(x)` of every observation by annealed importance sampling.

    Args:
        model: the model.
        x: observations.
        key: for the chains.
        annealing: how the chains run.
        error: in nats: the observations end where the mean bound has this standard error; all are taken unless given.
        memory: bytes to stay below.
        on_progress: called after each batch with the observations done.
    """
    plan = _undivided(eqx.Partial(_annealed, annealing), annealing.chains)
    enough = _known_to(error, lambda log_likelihood, *_: log_likelihood)
    return AnnealedBound(*_within(memory, plan, model, (x, jax.random.split(key, len(x))), on_progress, enough))


def _annealed(annealing: Annealing, model: DLGM, x: Array, key: PRNGKeyArray) -> tuple[Array, ...]:
    log_density, start = _path(model, x, annealing)
    key_pilot, key_chains = jax.random.split(key)
    steps = _step_sizes(log_density, start, annealing, key_pilot)
    options = {"chains": annealing.chains, "leapfrog_steps": annealing.leapfrog_steps}
    result = ais(log_density, start, annealing.betas, steps, key_chains, **options)
    return result.log_z, result.log_z_std_error, jnp.mean(result.acceptance)


def bidirectional_bounds(
    model: DLGM,
    key: PRNGKeyArray,
    annealing: Annealing,
    *,
    points: int,
    error: float | None = None,
    memory: int = 2**30,
    on_progress: OnProgress | None = None,
) -> Sandwich:
    """Both bounds of `log p(x)` for observations drawn from the model, whose latent vectors are exact posterior draws.

    Their gap bounds what annealed importance sampling leaves out, on such observations (Grosse et al., 2015; Wu et al.,
    2017).

    Args:
        model: the model.
        key: for the observations and the chains.
        annealing: how the chains run, forwards and in reverse.
        points: observations to simulate.
        error: in nats: they end where the mean gap has this standard error; all are taken unless given.
        memory: bytes to stay below.
        on_progress: called after each batch with the observations done.
    """
    key_data, key_chains = jax.random.split(key)
    x, z = eqx.filter_jit(lambda model, keys: jax.vmap(model.sample)(keys))(model, jax.random.split(key_data, points))
    plan = _undivided(eqx.Partial(_sandwich, annealing), annealing.chains)
    inputs = x, z, jax.random.split(key_chains, points)
    enough = _known_to(error, lambda lower, upper: upper - lower)
    return Sandwich(*_within(memory, plan, model, inputs, on_progress, enough))


def _sandwich(annealing: Annealing, model: DLGM, x: Array, z: Array, key: PRNGKeyArray) -> tuple[Array, ...]:
    log_density, start = _path(model, x, annealing)
    key_pilot, key_forward, key_reverse = jax.random.split(key, 3)
    steps = _step_sizes(log_density, start, annealing, key_pilot)
    options = {"chains": annealing.chains, "leapfrog_steps": annealing.leapfrog_steps}
    forward = ais(log_density, start, annealing.betas, steps, key_forward, **options)
    reverse = reverse_ais(log_density, start, z, annealing.betas, steps, key_reverse, **options)
    return forward.log_z, reverse.log_z


def _path(model: DLGM, x: Float[Array, " D"], annealing: Annealing) -> tuple[LogDensity, Pushforward]:
    prior = Pushforward(Normal.standard(model.latents), DiagonalAffine.identity(model.latents))
    start = prior if annealing.start == "prior" else model.posterior(x)
    return lambda z: model.log_joint(x, z), start


def _step_sizes(
    log_density: LogDensity, start: Pushforward, annealing: Annealing, key: PRNGKeyArray
) -> Float[Array, " intermediate"]:
    return tune_step_sizes(
        log_density,
        start,
        annealing.betas,
        key,
        chains=annealing.pilot_chains,
        leapfrog_steps=annealing.leapfrog_steps,
    )
