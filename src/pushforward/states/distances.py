"""How far apart two densities of states are."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pushforward.states.bootstrap import LEVEL, REPLICATES, Estimate, bootstrap
from pushforward.states.bound import Dim, checked_dim
from pushforward.states.density import DensityOfStates

SAME_ATOM = 1e-6
NODES = 2**17


def wasserstein(a: DensityOfStates, b: DensityOfStates) -> float:
    """The 1-Wasserstein distance, in nats: the area between the two distribution functions.

    It is exact between samples, and right to 1e-6 of its size for closed forms; inf where the masses at `-inf` differ.

    Args:
        a: a density of states.
        b: another.
    """
    if abs(a.zero_mass - b.zero_mass) > 1e-12:
        return np.inf
    knots = np.sort(np.concatenate([_knots(a), _knots(b)]), kind="stable")
    start = a.cdf(knots[:-1]) - b.cdf(knots[:-1])
    end = a.cdf(knots[1:], "left") - b.cdf(knots[1:], "left")
    size = np.abs(start) + np.abs(end)
    # Between knots the difference is a line: where it crosses 0 there are two triangles.
    crossing = np.sign(start) * np.sign(end) < 0
    area = np.where(crossing, (start**2 + end**2) / np.where(size > 0, size, 1), size) / 2
    return float(np.sum(np.diff(knots) * area))


def centred_wasserstein(a: DensityOfStates, b: DensityOfStates) -> float:
    """The 1-Wasserstein distance, in nats, once both have the mean 0: what no constant log-determinant repairs.

    Args:
        a: a density of states.
        b: another.
    """
    if a.zero_mass or b.zero_mass:
        return np.inf
    return wasserstein(a.shift(-a.mean), b.shift(-b.mean))


def mean_gap(a: DensityOfStates, b: DensityOfStates) -> float:
    """`mean of a - mean of b`, in nats; between the densities of states of p and q it is `H(q) - H(p)`.

    Args:
        a: a density of states.
        b: another.
    """
    return a.mean - b.mean if a.zero_mass == 0 == b.zero_mass else np.nan


def kl(a: DensityOfStates, b: DensityOfStates, bins: int | None = None) -> float:
    """`KL(a || b)` of the two laws of log-densities, in nats; inf where a has an atom that b has not.

    Between exact laws by quadrature. With samples, of the laws coarsened to their common atoms, where they are within
    1e-6 nats, and bins of equal mass under b (Wang, Kulkarni & Verdu, 2005, "Divergence estimation of continuous
    distributions based on data-dependent partitions"): at least 0, less than the truth by what the bins hide and more
    by noise, which is about `bins / n` between samples of size n.

    Args:
        a: the law that the mean is taken over.
        b: the other one.
        bins: for samples; `n^(1/3)` of the smaller sample unless given.
    """
    shared = np.abs(np.subtract.outer(a.positions, b.positions)) <= SAME_ATOM
    shared |= np.isneginf(a.positions)[:, None] & np.isneginf(b.positions)[None]
    if not shared.any(axis=1).all() or (b.continuous is None and a.continuous is not None):
        return np.inf
    partner = shared.argmax(axis=1) if len(a.positions) else np.zeros(0, int)
    atoms = float(np.sum(a.masses * np.log(a.masses / b.masses[partner])))
    if a.continuous is None or b.continuous is None:
        return atoms
    if a.sample_size is None and b.sample_size is None:
        return atoms + _kl_by_quadrature(a, b)
    return atoms + _kl_in_bins(a, b, bins or _default_bins(a, b))


def _kl_by_quadrature(a: DensityOfStates, b: DensityOfStates) -> float:
    assert a.continuous is not None
    values, weights = a.continuous.nodes(NODES)
    ours, theirs = a.pdf(values), b.pdf(values)
    if np.any((theirs == 0) & (ours > 0)):
        return np.inf
    inside = ours > 0
    return float(a.continuous_mass * np.sum(weights[inside] * np.log(ours[inside] / theirs[inside])))


def _kl_in_bins(a: DensityOfStates, b: DensityOfStates, bins: int) -> float:
    assert a.continuous is not None
    assert b.continuous is not None
    edges = np.unique(b.continuous.quantile(np.linspace(0, 1, bins + 1)[1:-1]))
    ours = a.continuous_mass * np.diff(a.continuous.cdf(edges), prepend=0, append=1)
    theirs = b.continuous_mass * np.diff(b.continuous.cdf(edges), prepend=0, append=1)
    inside = ours > 0
    with np.errstate(divide="ignore"):
        return float(np.sum(ours[inside] * np.log(ours[inside] / theirs[inside])))


def _default_bins(a: DensityOfStates, b: DensityOfStates) -> int:
    n = min(each.sample_size for each in (a, b) if each.sample_size is not None)
    return max(2, round(math.cbrt(n)))


def _knots(states: DensityOfStates) -> Float[np.ndarray, " n"]:
    """Where the distribution function is looked at: between two of them it is constant or smooth."""
    atoms: Float[np.ndarray, " k"] = states.positions[np.isfinite(states.positions)]
    if states.continuous is None:
        return atoms
    return np.concatenate([atoms, states.continuous.nodes()[0]])


@dataclass(frozen=True)
class Comparison:
    """Two densities of states beside each other, each number in nats with its interval.

    Attributes:
        wasserstein: W1.
        wasserstein_per_dim: W1 / D.
        centred_wasserstein: W1 once both have the mean 0.
        mean_gap: mean of the first less mean of the second.
        kl: of the first from the second.
    """

    wasserstein: Estimate
    wasserstein_per_dim: Estimate
    centred_wasserstein: Estimate
    mean_gap: Estimate
    kl: Estimate


def compare(
    a: DensityOfStates,
    b: DensityOfStates,
    dim: Dim,
    *,
    replicates: int = REPLICATES,
    level: float = LEVEL,
    seed: int = 0,
) -> Comparison:
    """Every distance between two densities of states, with bootstrap intervals.

    Args:
        a: such as that of the data.
        b: such as that of a flow.
        dim: dimensions D of the space that both live on.
        replicates: how often samples are drawn anew for the intervals.
        level: of the intervals.
        seed: of the draws.

    Raises:
        UserError: `dim` is not a positive whole number, or there is no replicate.
    """
    dim = checked_dim(dim)
    distances: tuple[Callable[[DensityOfStates, DensityOfStates], float], ...]
    distances = wasserstein, centred_wasserstein, mean_gap, kl

    def statistic(a: DensityOfStates, b: DensityOfStates) -> Float[np.ndarray, " k"]:
        return np.array([distance(a, b) for distance in distances])

    w1, centred, gap, divergence = bootstrap(statistic, a, b, replicates=replicates, level=level, seed=seed)
    w1, centred, divergence = (_not_negative(each) for each in (w1, centred, divergence))
    per_dim = Estimate(w1.value / dim, w1.low / dim, w1.high / dim)
    return Comparison(w1, per_dim, centred, gap, divergence)


def _not_negative(estimate: Estimate) -> Estimate:
    return Estimate(estimate.value, max(estimate.low, 0.0), max(estimate.high, 0.0))
