"""Pareto-smoothed importance sampling: how heavy the tail of the weights is, and the weights without its noise."""

import numpy as np
from jaxtyping import Float

K_HAT_LIMIT = 0.7
LOW_ESS = 0.01
LIGHT_TAIL = 1e-3


def pareto_k(log_weights: Float[np.ndarray, " n"]) -> float | None:
    """Shape of the generalised Pareto distribution fitted to the largest `min(n / 5, 3 sqrt(n))` weights, rounded up.

    Below 0.7 the importance-sampling estimates of their mean converge at a practical rate; from 1 on the mean of the
    fitted tail does not exist. None where fewer than 5 distinct weights are in the tail; -inf where they are all equal.

    The fit is that of Zhang & Stephens, 2009, "A new and efficient estimation method for the generalized Pareto
    distribution", with the weak prior of Vehtari, Simpson, Gelman, Yao & Gabry, 2024, "Pareto smoothed importance
    sampling", appendix C.

    Args:
        log_weights: log importance weights, up to a constant; `-inf` is a weight of 0.

    Raises:
        ValueError: there are none, or one is NaN or infinite.
    """
    ordered = np.sort(np.asarray(log_weights, np.float64))
    if not len(ordered):
        raise ValueError("there are no importance weights")
    if not ordered[-1] < np.inf:
        raise ValueError(f"{int(np.sum(~(ordered < np.inf)))} of {len(ordered)} log weights are NaN or inf")
    if ordered[0] == ordered[-1]:
        return -np.inf
    tail_size = _tail_size(len(ordered))
    cutoff = ordered[-tail_size - 1]
    excesses = np.exp(ordered[-tail_size:] - ordered[-1]) - np.exp(cutoff - ordered[-1])
    excesses = excesses[excesses > 0]
    if len(excesses) < 5:
        return None
    k, _ = _generalised_pareto(excesses)
    return (len(excesses) * k + 10 * 0.5) / (len(excesses) + 10)


def smoothed_weights(log_weights: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Weights that sum to 1, whose largest are replaced by the expected order statistics of a generalised Pareto law.

    None exceeds the largest raw weight. Where the tail cannot be fitted, or is light, the weights stay as they are
    (Vehtari, Simpson, Gelman, Yao & Gabry, 2024, "Pareto smoothed importance sampling", section 2.3).

    Args:
        log_weights: log importance weights, up to a constant; `-inf` is a weight of 0.

    Raises:
        ValueError: there are none, one is NaN or infinite, or all are 0.
    """
    log_weights = np.asarray(log_weights, np.float64)
    k = pareto_k(log_weights)
    if np.isneginf(log_weights).all():
        raise ValueError("every importance weight is 0")
    order = np.argsort(log_weights, kind="stable")
    weights = np.exp(log_weights - log_weights.max())
    if k is not None and k > LIGHT_TAIL:
        tail = order[-_tail_size(len(order)) :]
        cutoff = weights[order[-len(tail) - 1]]
        excesses = weights[tail] - cutoff
        shape, scale = _generalised_pareto(excesses[excesses > 0])
        shape = (len(excesses) * shape + 10 * 0.5) / (len(excesses) + 10)
        places = (np.arange(len(tail)) + 0.5) / len(tail)
        quantiles = scale * np.expm1(-shape * np.log1p(-places)) / shape
        weights[tail] = np.minimum(cutoff + quantiles, 1.0)
    return weights / weights.sum()


def _tail_size(count: int) -> int:
    return int(np.ceil(min(count / 5, 3 * np.sqrt(count))))


def _generalised_pareto(excesses: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Shape and scale."""
    n = len(excesses)
    grid_size = 30 + int(np.sqrt(n))
    quartile = excesses[int(n / 4 + 0.5) - 1]
    theta = 1 / excesses[-1] + (1 - np.sqrt(grid_size / (np.arange(1, grid_size + 1) - 0.5))) / (3 * quartile)
    k = np.log1p(-theta[:, None] * excesses[None]).mean(axis=1)
    log_likelihood = n * (np.log(-theta / k) - k - 1)
    weights = np.exp(log_likelihood - log_likelihood.max())
    best_theta = float(np.sum(theta * weights) / np.sum(weights))
    shape = float(np.log1p(-best_theta * excesses).mean())
    return shape, -shape / best_theta


def verdict(k_hat: float | None, ess_fraction: float = 1.0) -> str:
    """What a k-hat says about importance sampling, in words (thresholds of Vehtari et al., 2024).

    A light tail of weights of which next to none counts, as those of a flow far from its target, is not called good.

    Args:
        k_hat: shape of the tail of the weights; None where there is none.
        ess_fraction: effective sample size as a fraction of the draws.
    """
    if k_hat is None:
        return "too few distinct weights to judge the tail"
    if k_hat <= K_HAT_LIMIT and ess_fraction < LOW_ESS:
        return f"the tail is light, yet less than {LOW_ESS:.0%} of the draws count: the flow is far from the target"
    if k_hat < 0.5:
        return "good: the weights have a finite variance"
    if k_hat <= K_HAT_LIMIT:
        return "usable: the estimates converge, more slowly than their standard errors say"
    if k_hat < 1:
        return "bad: the estimates and their standard errors cannot be trusted"
    return "very bad: the mean of the weights may not exist"
