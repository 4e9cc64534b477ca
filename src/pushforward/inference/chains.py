"""Markov chains behind a flow: NUTS in the coordinates of its base, until the chains agree."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import blackjax
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.mcmc import hmc
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from pushforward.devices import double_precision
from pushforward.distributions import Pushforward
from pushforward.errors import UserError, imported
from pushforward.evaluation import smoothed_weights
from pushforward.inference.summary import ARVIZ, PROBABILITIES, Row, Summary, columns
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

CHAINS, WARM_UP, ROUND, DOUBLINGS = 8, 300, 250, 8
POOL = 4096
AGREED = 1.01

Draws = dict[str, Float[np.ndarray, "chains draws ..."]]


@dataclass(frozen=True)
class Diagnosis:
    """How far the chains of one number are.

    Attributes:
        name: of the parameter, with its index.
        r_hat: rank-normalised split R-hat (Vehtari et al., 2021).
        bulk: effective sample size of the bulk.
        tail: effective sample size of the 5% and 95% quantiles.
    """

    name: str
    r_hat: float
    bulk: float
    tail: float


@dataclass(frozen=True)
class Chains:
    """Chains of NUTS behind a flow.

    Attributes:
        coordinates: `(chains, draws, D)`, in the coordinates of the target.
        log_p: unnormalised log posterior at each draw, in nats.
        divergent: whether the trajectory to each draw diverged.
        base: where each chain is, in the coordinates of the base.
        step_size: of each chain.
        inverse_mass: of each chain, the diagonal.
        diagnoses: one a number.
        ess: what was asked for.
    """

    coordinates: Float[np.ndarray, "chains draws D"]
    log_p: Float[np.ndarray, "chains draws"]
    divergent: Bool[np.ndarray, "chains draws"]
    base: Float[np.ndarray, "chains D"]
    step_size: Float[np.ndarray, " chains"]
    inverse_mass: Float[np.ndarray, "chains D"]
    diagnoses: tuple[Diagnosis, ...]
    ess: float

    @property
    def worst(self) -> Diagnosis:
        """The number that is farthest from what was asked for."""
        return max(self.diagnoses, key=lambda each: (_disagrees(each), self.ess / max(min(each.bulk, each.tail), 1)))

    @property
    def agreed(self) -> bool:
        """Whether every R-hat is at most 1.01, and every ESS what was asked for."""
        return all(not _disagrees(each) and min(each.bulk, each.tail) >= self.ess for each in self.diagnoses)

    @property
    def verdict(self) -> str:
        """What the diagnoses say, in words."""
        worst, (chains, draws) = self.worst, self.log_p.shape
        found = f"R-hat {worst.r_hat:.3f}, bulk ESS {worst.bulk:,.0f}, tail ESS {worst.tail:,.0f} of {worst.name}"
        told = f"{chains} chains of {draws:,} draws, {self.divergent.mean():.2%} divergent; at worst {found}"
        if self.agreed:
            return f"the chains agree: {told}"
        return f"not yet: {told}; refine again, to R-hat {AGREED} and ESS {self.ess:,.0f}"

    def summary(self, draws: Draws) -> Summary:
        """Mean, standard deviation and quantiles of every number, with the Monte Carlo errors of chains.

        Args:
            draws: the parameters by name.
        """
        array_stats = imported("arviz_stats.base", ARVIZ).array_stats
        rows = []
        for name, values in columns(draws, axes=2).items():
            flat = values.ravel()
            numbers = [flat.mean(), array_stats.mcse(values, chain_axis=0, draw_axis=1, method="mean", prob=None)]
            numbers += [flat.std(ddof=1), array_stats.mcse(values, chain_axis=0, draw_axis=1, method="sd", prob=None)]
            for probability in PROBABILITIES:
                error = array_stats.mcse(values, chain_axis=0, draw_axis=1, method="quantile", prob=probability)
                numbers += [np.quantile(flat, probability), error]
            rows.append(Row(name, *map(float, numbers)))
        return Summary(tuple(rows))


def run_chains(
    target: Target,
    flow: Pushforward,
    key: PRNGKeyArray,
    *,
    ess: float,
    seconds: float,
    before: Chains | None,
    constrain: Callable[[Float[np.ndarray, "*batch D"]], Draws],
    on_round: Callable[[Chains], None] | None = None,
) -> Chains:
    """Chains that start at draws of the flow resampled by their weights, or where those before have stopped.

    Args:
        target: the posterior.
        flow: in its coordinates.
        key: for starts and transitions.
        ess: that every number must reach.
        seconds: after which no round begins.
        before: chains to go on with.
        constrain: from coordinates to parameters by name.
        on_round: called after each round.

    Raises:
        UserError: the posterior has no density at any draw of the flow, or `ess` or `seconds` is not positive.
    """
    if not (ess > 0 and seconds > 0):
        raise UserError(f"ESS and seconds must be positive, got {ess} and {seconds}")
    began = time.perf_counter()
    base: Any = flow.base
    bijection = flow.bijection.resolve()
    # The base of every rung is Normal; the chains see it standardised.
    center, scale = base.loc, jnp.exp(base.log_scale)

    def log_density(x: Float[Array, " D"]) -> Float[Array, ""]:
        z, log_det = bijection.forward_and_log_det(center + scale * x)
        return target.log_density(z) + log_det

    key_start, key_adapt, key_rounds = jax.random.split(key, 3)
    if before is None:
        epsilon = base.sample(key_start, (POOL,))
        points = (epsilon - center) / scale
        weights = jax.jit(lambda x, epsilon: jax.vmap(log_density)(x) - base.log_prob(epsilon))(points, epsilon)
        log_weights = np.nan_to_num(np.asarray(weights, np.float64), nan=-np.inf)
        if not (log_weights > -np.inf).any():
            raise UserError(f"{target.name} has no density at any of {POOL} draws of the flow")
        key_pick, key_adapt = jax.random.split(key_adapt)
        start = points[resampled(key_pick, smoothed_weights(log_weights), CHAINS)]
        positions, step_sizes, inverse_masses = _adapted(log_density, start, key_adapt)
        collected: list[tuple[np.ndarray, ...]] = []
    else:
        positions, step_sizes = jnp.asarray(before.base), jnp.asarray(before.step_size)
        inverse_masses = jnp.asarray(before.inverse_mass)
        collected = [(before.coordinates, before.log_p, before.divergent)]
    advance = _round(log_density, lambda x: bijection.forward_and_log_det(center + scale * x))
    while True:
        key_rounds, key_round = jax.random.split(key_rounds)
        positions, found = advance(positions, step_sizes, inverse_masses, key_round)
        collected.append(tuple(np.asarray(array) for array in found))
        coordinates, log_p, divergent = (np.concatenate(parts, axis=1) for parts in zip(*collected))
        chains = Chains(
            coordinates,
            log_p,
            divergent,
            np.asarray(positions),
            np.asarray(step_sizes),
            np.asarray(inverse_masses),
            diagnose(constrain(coordinates)),
            ess,
        )
        if on_round is not None:
            on_round(chains)
        if chains.agreed or time.perf_counter() - began > seconds:
            return chains


def resampled(key: PRNGKeyArray, weights: Float[np.ndarray, " n"], count: int) -> Int[np.ndarray, " count"]:
    """Indices of draws, with replacement, by their weights.

    Args:
        key: for the choice.
        weights: they sum to 1.
        count: how many.
    """
    with double_precision():
        return np.asarray(jax.random.choice(key, len(weights), (count,), p=jnp.asarray(weights)))


def diagnose(draws: Draws) -> tuple[Diagnosis, ...]:
    """R-hat and ESS of every number of chains, by `arviz-stats`.

    Args:
        draws: `(chains, draws, *shape)` by name.
    """
    array_stats = imported("arviz_stats.base", ARVIZ).array_stats
    diagnoses = []
    for name, values in columns(draws, axes=2).items():
        if np.ptp(values) == 0:
            continue
        r_hat, bulk = (
            float(function(values, chain_axis=0, draw_axis=1)) for function in (array_stats.rhat, array_stats.ess)
        )
        tail = float(array_stats.ess(values, chain_axis=0, draw_axis=1, method="tail", prob=PROBABILITIES))
        diagnoses.append(Diagnosis(name, r_hat, bulk, tail))
    return tuple(diagnoses)


def _disagrees(diagnosis: Diagnosis) -> bool:
    return not diagnosis.r_hat <= AGREED


def _adapted(
    log_density: Callable[[Array], Array], start: Float[Array, "chains D"], key: PRNGKeyArray
) -> tuple[Array, Array, Array]:
    """Positions, step sizes and inverse mass matrices after window adaptation of each chain."""

    def adapt(key: PRNGKeyArray, start: Float[Array, " D"]) -> tuple[Array, Array, Array]:
        adaptation = blackjax.window_adaptation(blackjax.nuts, log_density, max_num_doublings=DOUBLINGS)
        (state, tuned), _ = adaptation.run(key, start, WARM_UP)
        return state.position, tuned["step_size"], tuned["inverse_mass_matrix"]

    return jax.jit(jax.vmap(adapt))(jax.random.split(key, len(start)), start)


def _round(
    log_density: Callable[[Array], Array], to_target: Callable[[Array], tuple[Array, Array]]
) -> Callable[..., tuple[Array, tuple[Array, ...]]]:
    """`(positions, step sizes, inverse masses, key)` to the positions after a round, and what the target has of it."""

    def chain(
        key: PRNGKeyArray, position: Float[Array, " D"], step_size: Float[Array, ""], inverse_mass: Float[Array, " D"]
    ) -> tuple[Array, tuple[Array, ...]]:
        kernel = blackjax.nuts(log_density, step_size, inverse_mass, max_num_doublings=DOUBLINGS)

        def step(state: hmc.HMCState, key: PRNGKeyArray) -> tuple[object, tuple[Array, ...]]:
            state, info = kernel.step(key, state)
            z, log_det = to_target(state.position)
            return state, (z, state.logdensity - log_det, info.is_divergent)

        state, kept = lax.scan(step, kernel.init(position), jax.random.split(key, ROUND))
        return state.position, kept

    compiled = jax.jit(jax.vmap(chain))

    def advance(
        positions: Array, step_sizes: Array, inverse_masses: Array, key: PRNGKeyArray
    ) -> tuple[Array, tuple[Array, ...]]:
        return compiled(jax.random.split(key, len(positions)), positions, step_sizes, inverse_masses)

    return advance
