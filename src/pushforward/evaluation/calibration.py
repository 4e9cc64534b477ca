"""Calibration: whether posteriors hold what they promise, over many simulations whose parameters are known.

If parameters are drawn from the prior, data from the simulator, and draws from the posterior of the data, then the
parameters are one more draw: their rank among the draws is uniform. Every measure here is such a rank: that of a number
(simulation-based calibration; Talts et al., 2018), that of the density (expected coverage; Hermans et al., 2022), that
of the distance to a random point (TARP; Lemos et al., 2023). A conditional density is judged by the rows of a test set.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy
from jaxtyping import Float

from pushforward.evaluation.coverage import wilson

LEVEL = 0.01
LEAST_CASES = 20
SHOWN = 0.9
DENSITY, DISTANCE = "density", "distance"
"""Names of the joint ranks, beside those of the numbers."""


@dataclass(frozen=True)
class Finding:
    """What one of the tests found.

    Attributes:
        name: of the number, or of the joint measure.
        kind: `"place"` where the ranks lie too often on one side, `"spread"` where too often in the middle or outside.
        p_value: after Holm's correction for all tests.
    """

    name: str
    kind: str
    p_value: float


@dataclass(frozen=True)
class Calibration:
    """Ranks of true parameters among draws of their posteriors, and what they say.

    Attributes:
        names: of the numbers, and of joint measures behind them.
        ranks: `(n, names)`, in (0, 1): uniform where the posteriors are right.
    """

    names: tuple[str, ...]
    ranks: Float[np.ndarray, "n names"]

    def holds(self, name: str, level: float) -> tuple[float, float, float]:
        """The share of the cases in which an interval holds the truth, with Wilson's interval at 95%.

        Args:
            name: of a number, whose interval is the central one; `"density"`: the region of highest density.
            level: that it promises.
        """
        ranks = self.ranks[:, self.names.index(name)]
        inside = ranks > 1 - level if name == DENSITY else np.abs(2 * ranks - 1) < level
        share = float(np.mean(inside))
        return share, *wilson(share, len(ranks))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Two tests a name, those of least p-value first.

        They are Kolmogorov and Smirnov's, of the ranks and of how far they are from the middle: the first sees a
        posterior at a wrong place, the second one that is too narrow or too wide.
        """
        tests = []
        for name, ranks in zip(self.names, self.ranks.T):
            tests.append((name, "place", scipy.stats.kstest(ranks, "uniform").pvalue))
            if name != DENSITY:
                tests.append((name, "spread", scipy.stats.kstest(np.abs(2 * ranks - 1), "uniform").pvalue))
        tests.sort(key=lambda test: test[2])
        corrected = np.maximum.accumulate([(len(tests) - place) * test[2] for place, test in enumerate(tests)])
        return tuple(Finding(name, kind, min(float(p), 1.0)) for (name, kind, _), p in zip(tests, corrected))

    @property
    def rejected(self) -> bool:
        """Whether some test says no: of right posteriors, 1% are rejected at most."""
        return self.findings[0].p_value < LEVEL

    @property
    def verdict(self) -> str:
        """What they say, in words."""
        worst, cases = self.findings[0], len(self.ranks)
        share, low, high = self.holds(worst.name, SHOWN)
        region = "region of highest density" if worst.name == DENSITY else f"interval of {worst.name}"
        held = f"the {SHOWN:.0%} {region} holds {share:.0%} ({low:.0%} to {high:.0%})"
        if not self.rejected:
            return f"calibrated, as far as {cases:,} cases tell: {held}, and no test says no"
        if worst.kind == "place" and worst.name != DENSITY:
            above = float(np.mean(self.ranks[:, self.names.index(worst.name)] > 0.5))
            low, high = wilson(above, cases)
            found = f"the truth is above the median in {above:.0%} ({low:.0%} to {high:.0%})"
            return f"not calibrated: {worst.name} is placed too {'low' if above > 0.5 else 'high'}, {found}"
        if low <= SHOWN <= high:
            return f"not calibrated: the ranks of {worst.name} are not uniform (p {worst.p_value:.1g}), though {held}"
        return f"not calibrated: intervals are too {'narrow' if share < SHOWN else 'wide'}: {held}"


def calibration(
    draws: Float[np.ndarray, "n draws D"],
    truths: Float[np.ndarray, "n D"],
    *,
    names: Sequence[str],
    seed: int = 0,
    log_q: Float[np.ndarray, "n draws"] | None = None,
    log_q_of_truths: Float[np.ndarray, " n"] | None = None,
) -> Calibration:
    """Ranks of truths among the draws of their posteriors: of every number, of the density, of a distance.

    The distance is to the truth of another case, in standard deviations of the truths (TARP). Ranks are spread evenly
    over the steps between them, so that they are exactly uniform where the posteriors are right, for any number of
    draws.

    Args:
        draws: of each posterior.
        truths: what each was given data of.
        names: of the D numbers.
        seed: for the random points, and for ties.
        log_q: log density of the draws, where it is known.
        log_q_of_truths: log density of the truths.

    Raises:
        ValueError: there are fewer than 20 cases, or a draw is not finite.

    Example:
        >>> found = calibration(draws, theta, names=["a", "b"])
        >>> found.verdict, found.holds("a", 0.9)
    """
    n, _, dim = draws.shape
    if n < LEAST_CASES:
        raise ValueError(f"calibration takes {LEAST_CASES} cases or more, got {n}")
    if not (np.isfinite(draws).all() and np.isfinite(truths).all()):
        raise ValueError("calibration takes finite draws and truths")
    rng = np.random.default_rng(seed)
    columns = [_ranks(draws[:, :, index], truths[:, index], rng) for index in range(dim)]
    labels = list(names)
    if log_q is not None and log_q_of_truths is not None:
        columns.append(_ranks(log_q, log_q_of_truths, rng))
        labels.append(DENSITY)
    if dim > 1:
        order = rng.permutation(n)
        points = truths[order[np.argsort(np.roll(order, 1))]]
        scale = np.where(truths.std(axis=0) > 0, truths.std(axis=0), 1.0)
        of_draws = (((draws - points[:, None]) / scale) ** 2).sum(axis=2)
        of_truths = (((truths - points) / scale) ** 2).sum(axis=1)
        columns.append(_ranks(of_draws, of_truths, rng))
        labels.append(DISTANCE)
    return Calibration(tuple(labels), np.stack(columns, axis=1))


def _ranks(
    draws: Float[np.ndarray, "n draws"], truths: Float[np.ndarray, " n"], rng: np.random.Generator
) -> Float[np.ndarray, " n"]:
    """The share of the draws below each truth, at random within the step that the truth is in."""
    below = (draws < truths[:, None]).sum(axis=1)
    equal = (draws == truths[:, None]).sum(axis=1)
    return (below + rng.random(len(truths)) * (equal + 1)) / (draws.shape[1] + 1)
