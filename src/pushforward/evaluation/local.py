"""Whether the posterior of one observation is right, by simulations of others: a local two-sample test.

Linhart, Gramfort & Rodrigues, 2023, "L-C2ST: Local diagnostics for posterior approximations in simulation-based
inference": a classifier of parameters and data that tells truths from draws of their posteriors is asked about the
draws of one observation. Here parameters are in coordinates where every posterior has mean 0 and covariance 1, data are
the mean of their posterior, and the classifier is a logistic regression. Where standard deviations are a fifth too
small in half of a plane, 500 simulations give p between 0.005 and 0.04; a network of the paper gave 0.2 to 1.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from pushforward.evaluation.calibration import LEVEL

LEAST_CASES, LEAST_DRAWS = 100, 20
NULLS = 199
MOST_CONTEXTS, MOST_CROSSED = 4, 6
DRAWS_EACH = 5
RIDGE = 1.0


@dataclass(frozen=True)
class LocalC2ST:
    """How far the posterior of an observation is from the right one, and how far it would be by chance.

    Attributes:
        statistic: mean square of the classifier's distance from 1/2 over draws of the observation's posterior.
        nulls: the same of classifiers that tell one draw of each posterior, in place of the truth, from others.
        cases: simulations whose parameters are known.
    """

    statistic: float
    nulls: Float64[np.ndarray, " nulls"]
    cases: int

    @property
    def p_value(self) -> float:
        """The share of statistics at least as large, this one among them: uniform where all posteriors are right."""
        return float((1 + np.sum(self.nulls >= self.statistic)) / (1 + len(self.nulls)))

    @property
    def rejected(self) -> bool:
        """Whether the posterior is told from the right one: of right ones 1% are."""
        return self.p_value <= LEVEL

    @property
    def verdict(self) -> str:
        """What was found, in words."""
        share = f"p {self.p_value:.2g}, {self.cases:,} simulations"
        if self.rejected:
            return f"the posterior of this observation is not right: a classifier tells it from the right one ({share})"
        return f"no classifier tells the posterior of this observation from the right one ({share})"


def local_c2st(
    draws: Float[np.ndarray, "n draws D"],
    truths: Float[np.ndarray, "n D"],
    at: Float[np.ndarray, "m D"],
    *,
    nulls: int = NULLS,
    seed: int = 0,
) -> LocalC2ST:
    """Tell truths from draws of their posteriors, and ask about the posterior of one observation.

    The test is exact: under right posteriors a truth is one more draw, and each draw in its place gives a statistic of
    the same law.

    Args:
        draws: of the posterior of each simulated case.
        truths: the parameters behind each.
        at: draws of the posterior that is judged.
        nulls: statistics of chance, at most as many as there are draws of a case.
        seed: for which draws they take.

    Raises:
        ValueError: there are fewer than 100 cases or 20 draws, more nulls than draws, or a number is not finite.

    Example:
        >>> found = local_c2st(draws, theta, draws_of_mine)
        >>> found.verdict, found.p_value
    """
    n, count, _ = draws.shape
    if n < LEAST_CASES or count < LEAST_DRAWS:
        raise ValueError(f"a local test takes {LEAST_CASES} cases of {LEAST_DRAWS} draws or more, got {n} of {count}")
    if not 0 < nulls <= count:
        raise ValueError(f"there are 1 to {count} nulls of {count} draws, got {nulls}")
    if not (np.isfinite(draws).all() and np.isfinite(truths).all() and np.isfinite(at).all()):
        raise ValueError("a local test takes finite draws and truths")
    everything = np.concatenate([np.asarray(truths, np.float64)[:, None], draws], axis=1)
    middles, white = _whitened(everything)
    middle, asked = _whitened(np.asarray(at, np.float64)[None])
    contexts, context = _contexts(middles, middle)
    features = _features(white, contexts)
    of_draws = _features(asked, context)[0]
    rng = np.random.default_rng(seed)

    def statistic(chosen: int) -> float:
        others = rng.choice(np.delete(np.arange(count + 1), chosen), DRAWS_EACH, replace=False)
        odds = _odds(features[:, chosen], features[:, others])
        return float(np.mean((1 / (1 + np.exp(-of_draws @ odds)) - 0.5) ** 2))

    places = 1 + rng.permutation(count)[:nulls]
    return LocalC2ST(statistic(0), np.array([statistic(place) for place in places.tolist()]), n)


def _whitened(points: Float64[np.ndarray, "n m D"]) -> tuple[Float64[np.ndarray, "n D"], Float64[np.ndarray, "n m D"]]:
    """The mean of each set of points, and its points with mean 0 and covariance 1."""
    middles = points.mean(axis=1)
    centred = points - middles[:, None]
    _, sizes, right = np.linalg.svd(centred, full_matrices=False)
    kept = np.where(sizes > 1e-9 * sizes[:, :1], sizes, np.inf) / np.sqrt(points.shape[1])
    return middles, np.einsum("nmd,nkd,nk,nke->nme", centred, right, 1 / kept, right, optimize=True)


def _contexts(
    middles: Float64[np.ndarray, "n D"], middle: Float64[np.ndarray, "1 D"]
) -> tuple[Float64[np.ndarray, "n k"], Float64[np.ndarray, "1 k"]]:
    """Where posteriors are: the largest principal components of their means."""
    mean, sd = middles.mean(axis=0), middles.std(axis=0)
    scale = np.where(sd > 0, sd, np.inf)
    standard, asked = (middles - mean) / scale, (middle - mean) / scale
    _, _, axes = np.linalg.svd(standard, full_matrices=False)
    components = standard @ axes[:MOST_CONTEXTS].T
    spread = components.std(axis=0)
    kept = spread > 1e-6
    return components[:, kept] / spread[kept], (asked @ axes[:MOST_CONTEXTS].T)[:, kept] / spread[kept]


def _features(
    points: Float64[np.ndarray, "n m D"], contexts: Float64[np.ndarray, "n k"]
) -> Float64[np.ndarray, "n m features"]:
    """Numbers of points, their squares and products, each alone and with every context."""
    dim = points.shape[2]
    first, second = np.triu_indices(dim) if dim <= MOST_CROSSED else (np.arange(dim), np.arange(dim))
    own = np.concatenate([points, points[:, :, first] * points[:, :, second]], axis=2)
    beside = np.concatenate([np.ones((len(contexts), 1)), contexts], axis=1)
    crossed = (own[:, :, :, None] * beside[:, None, None]).reshape(*own.shape[:2], -1)
    alone = np.broadcast_to(beside[:, None], (*own.shape[:2], beside.shape[1]))
    return np.concatenate([crossed, alone], axis=2)


def _odds(
    ones: Float64[np.ndarray, "n features"], zeros: Float64[np.ndarray, "n draws features"]
) -> Float64[np.ndarray, " features"]:
    """Weights of a logistic regression with a ridge; zeros weigh as much as ones together."""
    from sklearn.linear_model import LogisticRegression

    n, count, size = zeros.shape
    points = np.concatenate([ones, zeros.reshape(n * count, size)])
    shares = np.repeat([1.0, 1 / count], [n, n * count])
    model = LogisticRegression(C=1 / RIDGE, fit_intercept=False, solver="newton-cholesky")
    found: Float64[np.ndarray, " features"] = model.fit(points, np.repeat([1, 0], [n, n * count]), shares).coef_[0]
    return found
