"""Markov chains behind a flow, in the coordinates of its base, until they agree."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float, Int

from pushforward.devices import double_precision
from pushforward.distributions import Pushforward
from pushforward.errors import UserError, imported
from pushforward.evaluation import smoothed_weights
from pushforward.evaluation.ais import log_mean_exp
from pushforward.inference.kernels import METHODS, Behind, Method, Tuned, adapted, advance
from pushforward.inference.summary import ARVIZ, PROBABILITIES, Row, Summary, columns
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

CHAINS, POOL = 8, 4096
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
    """Chains, or populations of SMC, behind a flow.

    Attributes:
        method: how they move.
        coordinates: `(chains, draws, D)`, in the coordinates of the target.
        log_p: unnormalised log posterior at each draw, in nats.
        divergent: whether the trajectory to each draw diverged.
        base: where each chain is, in the coordinates of the base.
        step_size: of each chain.
        inverse_mass: of each chain, the diagonal.
        log_z: of each population of SMC so far, in nats; nothing of chains.
        diagnoses: one a number.
        ess: what was asked for.
    """

    method: Method
    coordinates: Float[np.ndarray, "chains draws D"]
    log_p: Float[np.ndarray, "chains draws"]
    divergent: Bool[np.ndarray, "chains draws"]
    base: Float[np.ndarray, "chains D"]
    step_size: Float[np.ndarray, " chains"]
    inverse_mass: Float[np.ndarray, "chains D"]
    log_z: Float[np.ndarray, " populations"]
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
        told = f"{chains} {self._are} of {draws:,} draws"
        if self.method == "nuts":
            told += f", {self.divergent.mean():.2%} divergent"
        if len(self.log_z):
            log_z, error = log_mean_exp(jnp.asarray(self.log_z))
            told += f", log Z {log_z:.4f} ± {error:.4f}"
        told += f"; at worst {found}"
        if self.agreed:
            return f"the {self._are} agree: {told}"
        return f"not yet: {told}; refine again, to R-hat {AGREED} and ESS {self.ess:,.0f}"

    @property
    def _are(self) -> str:
        return "populations" if self.method == "smc" else "chains"

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
    method: Method,
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
        method: how they move; see `kernels.advance`.
        ess: that every number must reach.
        seconds: after which no round begins.
        before: chains to go on with, if they are of the same method.
        constrain: from coordinates to parameters by name.
        on_round: called after each round.

    Raises:
        UserError: the posterior has no density at any draw of the flow, `method` is unknown, or `ess` or `seconds` is
            not positive.
    """
    if method not in METHODS:
        raise UserError(f"a method is one of {', '.join(METHODS)}, got {method!r}")
    if not (ess > 0 and seconds > 0):
        raise UserError(f"ESS and seconds must be positive, got {ess} and {seconds}")
    began = time.perf_counter()
    behind = Behind.of(target, flow)
    key_start, key_rounds = jax.random.split(key)
    rounds: list[tuple[np.ndarray, ...]] = []
    if before is not None and before.method == method:
        positions = jnp.asarray(before.base)
        tuned = Tuned(jnp.asarray(before.step_size), jnp.asarray(before.inverse_mass))
        rounds.append((before.coordinates, before.log_p, before.divergent, before.log_z))
    else:
        positions, tuned = _started(behind, method, key_start)
    advanced = advance(behind, method, CHAINS)
    while True:
        key_rounds, key_round = jax.random.split(key_rounds)
        positions, *drawn = advanced(positions, tuned, key_round)
        rounds.append(tuple(np.asarray(array) for array in drawn))
        *of_chains, log_z = zip(*rounds)
        coordinates, log_p, divergent = (np.concatenate(parts, axis=1) for parts in of_chains)
        chains = Chains(
            method=method,
            coordinates=coordinates,
            log_p=log_p,
            divergent=divergent,
            base=np.asarray(positions),
            step_size=np.asarray(tuned.step_size),
            inverse_mass=np.asarray(tuned.inverse_mass),
            log_z=np.concatenate(log_z),
            diagnoses=diagnose(constrain(coordinates)),
            ess=ess,
        )
        if on_round is not None:
            on_round(chains)
        if chains.agreed or time.perf_counter() - began > seconds:
            return chains


def _started(behind: Behind, method: Method, key: PRNGKeyArray) -> tuple[Float[jax.Array, "chains D"], Tuned]:
    """Where the chains begin, and what they move with."""
    key_pool, key_pick, key_adapt = jax.random.split(key, 3)
    dim = behind.target.dim
    pool = jax.vmap(behind.noise)(jax.random.split(key_pool, POOL))
    log_weights = np.asarray(jax.jit(jax.vmap(behind.log_ratio))(pool), np.float64)
    if not (log_weights > jnp.finfo(pool.dtype).min / 8).any():
        raise UserError(f"{behind.target.name} has no density at any of {POOL} draws of the flow")
    positions = pool[resampled(key_pick, smoothed_weights(log_weights), CHAINS)]
    if method == "imh":
        return positions, Tuned(jnp.ones(CHAINS), jnp.ones((CHAINS, dim)))
    return adapted(behind, positions, key_adapt)


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
