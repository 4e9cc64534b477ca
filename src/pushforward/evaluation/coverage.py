"""Whether a flow is where its target has mass: a check by draws that did not come from the flow."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import equinox as eqx
import jax
import numpy as np
import scipy
from jaxtyping import Array, Bool, Float

from pushforward.distributions import Pushforward
from pushforward.evaluation.ais import ais, sigmoidal_schedule, tune_step_sizes
from pushforward.evaluation.importance import BATCH, importance_estimate
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

OUTSIDE = 1e-3
MISSED = 0.002
LEAST_DRAWS = 50
LEVEL = 0.95
NORMAL_QUANTILE = 1.959964
CHAINS, PILOT, LEAPFROGS = 2048, 64, 6
OWN = 8


@dataclass(frozen=True)
class Coverage:
    """How much of a target lies where a flow hardly is.

    The flow's region is where the ratio of target to flow is no larger than at all but the heaviest of 32,768 draws of
    the flow, which hold 0.1% of their weights. A mode that the flow never visits is outside, and so is a part where it
    is too thin for its draws to tell.

    Attributes:
        outside: share of the target's mass outside of that region, by draws that are not the flow's.
        weighted: the same share as the flow's own draws have it by their importance weights: 0.1% or less.
        low: lower end of an interval for `outside` at 95%, Clopper and Pearson's with effective numbers of draws.
        high: upper end.
        ess: effective number of the draws that were not the flow's.
        log_z: what they find for log Z, in nats: below it on average, and too low where they miss something too.
        log_z_std_error: its standard error.
    """

    outside: float
    weighted: float
    low: float
    high: float
    ess: float
    log_z: float
    log_z_std_error: float

    @property
    def contradicts(self) -> bool:
        """Whether the flow's weighted draws lack more than 0.2% of the target, beyond doubt."""
        return self.conclusive and self.low > self.weighted + MISSED

    @property
    def conclusive(self) -> bool:
        """Whether there are draws enough to say anything."""
        return self.ess >= LEAST_DRAWS

    @property
    def verdict(self) -> str:
        """What it says, in words."""
        if not self.conclusive:
            return f"coverage unknown: {self.ess:.0f} effective draws from a wide start are too few"
        share = f"{self.outside:.2%} ({self.low:.2%} to {self.high:.2%})"
        found = f"{share} of the mass outside the flow's 99.9% region, its weighted draws {self.weighted:.2%}"
        if self.contradicts:
            return f"the flow misses a part of the target: draws from a wide start find {found}"
        if self.low > self.weighted:
            missing = self.outside - self.weighted
            return f"a little is missing, about {missing:.2g} nats of log Z: draws from a wide start find {found}"
        return f"nothing is missing that a wide start reaches: it finds {found}"


def coverage(
    flow: Pushforward,
    target: Target,
    start: Pushforward,
    key: PRNGKeyArray,
    *,
    chains: int = CHAINS,
    temperatures: int = 128,
    leapfrog_steps: int = LEAPFROGS,
) -> Coverage:
    """Annealed importance sampling from a wide start to the target, and where its draws lie under the flow.

    The weights of the flow's own draws cannot see what it misses; those of chains that start at its draws neither. The
    chains here start elsewhere, are independent, and their weights are those of the target. A part that they do not
    reach from the start stays unseen, so that the check can contradict a fit, and cannot prove it.

    Args:
        flow: fitted to the target.
        target: what it was fitted to.
        start: where the chains begin: wider than the target, and in no need of the flow.
        key: for everything random.
        chains: independent ones.
        temperatures: between start and target, each with one Hamiltonian transition.
        leapfrog_steps: of each.
    """
    key_tune, key_chains, key_flow = jax.random.split(key, 3)
    betas = sigmoidal_schedule(temperatures)

    @eqx.filter_jit
    def annealed(start: Pushforward) -> tuple[Array, Array]:
        steps = tune_step_sizes(target.log_density, start, betas, key_tune, chains=PILOT, leapfrog_steps=leapfrog_steps)
        found = ais(target.log_density, start, betas, steps, key_chains, chains=chains, leapfrog_steps=leapfrog_steps)
        return found.points, found.log_weights

    @eqx.filter_jit
    def ratios(flow: Pushforward, points: Float[Array, "n D"]) -> tuple[Array, Array]:
        def own(key: PRNGKeyArray) -> Array:
            x, log_q = flow.sample_and_log_prob(key, (BATCH,))
            return target.log_densities(x) - log_q

        there = target.log_densities(points) - flow.log_prob(points)
        return there, jax.lax.map(own, jax.random.split(key_flow, OWN)).ravel()

    points, weighed = annealed(start)
    log_weights = np.nan_to_num(np.asarray(weighed, np.float64), nan=-np.inf, posinf=-np.inf, neginf=-np.inf)
    if np.isneginf(log_weights).all():
        return Coverage(math.nan, math.nan, 0.0, 1.0, 0.0, -math.inf, math.inf)
    there, own_ratios = (np.asarray(each, np.float64) for each in ratios(flow, points))
    largest, weighted = _last(np.nan_to_num(own_ratios, nan=-np.inf))
    estimate, weights = importance_estimate(log_weights), _normalised(log_weights)
    # A density that is not a number there is no density that the flow has.
    outside = ~(there <= largest)
    share, ess = float(weights @ outside), estimate.ess_fraction * chains
    low, high = exact_interval(share, _effective(weights, outside, ess))
    return Coverage(share, weighted, low, high, ess, estimate.log_z, estimate.log_z_std_error)


def _last(log_ratios: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """The log-ratio above which the flow's draws hold at most 0.1% of their weight, and what they hold there."""
    order = np.argsort(-log_ratios)
    held = np.cumsum(_normalised(log_ratios)[order])
    count = int(np.searchsorted(held, OUTSIDE))
    return float(log_ratios[order[count]]), float(held[count - 1]) if count else 0.0


def _normalised(log_weights: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    weights = np.exp(log_weights - log_weights.max())
    return weights / weights.sum()


def _effective(weights: Float[np.ndarray, " n"], inside: Bool[np.ndarray, " n"], ess: float) -> float:
    """Equally weighted draws that would know a share as well; less than the ESS where few heavy ones make the share."""
    share = float(weights @ inside)
    variance = float(np.sum((weights * (inside - share)) ** 2))
    return min(ess, share * (1 - share) / variance) if variance > 0 else ess


def contradiction(found: Sequence[Coverage]) -> Coverage:
    """Of several checks, the one that says most against the flow, among those that are conclusive if any is.

    Args:
        found: one or more.
    """
    return max(found, key=lambda each: (each.conclusive, each.low - each.weighted, each.ess))


def exact_interval(share: float, draws: float) -> tuple[float, float]:
    """The interval of Clopper & Pearson, 1934, at 95% for a share of so many draws: right at small counts.

    Args:
        share: found.
        draws: how many; effective ones may be no whole number.
    """
    found, tail = share * draws, (1 - LEVEL) / 2
    low = float(scipy.stats.beta.ppf(tail, found, draws - found + 1)) if share > 0 else 0.0
    high = float(scipy.stats.beta.isf(tail, found + 1, draws - found)) if share < 1 else 1.0
    return low, high


def wilson(share: float, draws: float) -> tuple[float, float]:
    """The interval of Wilson, 1927, at 95% for a share of so many draws.

    Args:
        share: found.
        draws: how many; effective ones may be no whole number.
    """
    z = NORMAL_QUANTILE
    centre = share + z**2 / (2 * draws)
    half = z * math.sqrt(share * (1 - share) / draws + z**2 / (4 * draws**2))
    scale = 1 + z**2 / draws
    return max(0.0, (centre - half) / scale), min(1.0, (centre + half) / scale)
