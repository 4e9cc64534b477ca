"""Importance sampling: what the weights of a flow's own samples say about it and about log Z."""

from collections.abc import Callable
from dataclasses import dataclass

import jax
import numpy as np
from jaxtyping import Array, Float, Key
from scipy.special import logsumexp

from pushforward.distributions import Pushforward
from pushforward.evaluation.psis import pareto_k
from pushforward.types import PRNGKeyArray

BATCH = 4096


@dataclass(frozen=True)
class ImportanceEstimate:
    """What importance sampling from q finds out about an unnormalised density.

    Attributes:
        free_energy: `E_q[log q - log density]` in nats: `KL(q || p) - log Z`.
        free_energy_std_error: its standard error.
        log_z: log of the mean weight, in nats.
        log_z_std_error: its standard error, by the delta method; only as good as `k_hat` is small.
        ess_fraction: effective sample size `(sum w)^2 / sum w^2`, as a fraction of the samples.
        k_hat: shape of the tail of the weights; over 0.7 the estimate cannot be trusted (Vehtari et al., 2024). None
            where there is no tail to fit.
    """

    free_energy: float
    free_energy_std_error: float
    log_z: float
    log_z_std_error: float
    ess_fraction: float
    k_hat: float | None


def log_weights(
    flow: Pushforward, log_density: Callable[[Array], Array], key: PRNGKeyArray, samples: int
) -> Float[Array, " n"]:
    """`log density - log q` at draws from `flow`; their number is `samples` rounded up to a multiple of 4096.

    The draws are made 4096 at a time, so that memory does not grow with the length of the flow times their number.

    Args:
        flow: what is drawn from.
        log_density: unnormalised, of a batch `(n, D)`, in nats.
        key: for the draws.
        samples: how many, n.
    """

    def batch(key: PRNGKeyArray) -> Float[Array, " batch"]:
        x, log_q = flow.sample_and_log_prob(key, (BATCH,))
        return log_density(x) - log_q

    batches: Float[Array, "batches batch"] = jax.lax.map(batch, draw_keys(key, samples))
    return batches.reshape(-1)


def draw_keys(key: PRNGKeyArray, samples: int) -> Key[Array, " batches"]:
    """The key of each batch of 4096 draws."""
    return jax.random.split(key, -(-samples // BATCH))


def importance_estimate(log_weights: Float[np.ndarray, " n"]) -> ImportanceEstimate:
    """Every estimate that a set of log importance weights gives.

    Raises:
        ValueError: there are fewer than two weights, one is NaN or infinite, or all are 0.
    """
    log_weights = np.asarray(log_weights, np.float64)
    n = len(log_weights)
    if n < 2:
        raise ValueError(f"an estimate with a standard error takes 2 importance weights or more, got {n}")
    if np.isnan(log_weights).any() or (log_weights == np.inf).any():
        raise ValueError(f"{int(np.sum(~(log_weights < np.inf)))} of {n} log weights are NaN or inf")
    if np.isneginf(log_weights).all():
        raise ValueError("every importance weight is 0")
    log_sum, log_sum_of_squares = logsumexp(log_weights), logsumexp(2 * log_weights)
    ess_fraction = float(np.exp(2 * log_sum - log_sum_of_squares) / n)
    finite = np.isfinite(log_weights).all()
    return ImportanceEstimate(
        free_energy=float(-log_weights.mean()),
        free_energy_std_error=float(log_weights.std(ddof=1) / np.sqrt(n)) if finite else np.inf,
        log_z=float(log_sum - np.log(n)),
        log_z_std_error=float(np.sqrt(max(1 / ess_fraction - 1, 0) / n)),
        ess_fraction=ess_fraction,
        k_hat=pareto_k(log_weights),
    )
