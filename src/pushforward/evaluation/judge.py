"""One judgement of a fitted flow: every number that says how good it is."""

import math
from dataclasses import asdict, dataclass, field, replace

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float
from scipy.special import logsumexp

from pushforward.distributions import Pushforward
from pushforward.evaluation.grid import GridEstimate, grid_estimate
from pushforward.evaluation.importance import (
    BATCH,
    ImportanceEstimate,
    draw_keys,
    importance_estimate,
    log_weights,
)
from pushforward.evaluation.psis import K_HAT_LIMIT, verdict
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

FAR = 5.0
EXACT_DRAWS = 2**12
MISSED = "the flow misses a part of the target"


@dataclass(frozen=True)
class Judgement:
    """How good a flow q is as an approximation of a target p; every number is in nats, and None where it is not known.

    Attributes:
        kl: `KL(q || p)` from samples of q, with the target's log Z: 0 is perfect.
        kl_std_error: its standard error, and that of `free_energy` and of `kl_estimate`.
        free_energy: `E_q[log q - log density]`: `KL(q || p) - log Z`.
        elbo: the evidence lower bound, less than log Z by `KL(q || p)`: the negative of `free_energy`.
        kl_estimate: the KL with `log_z_estimate` for log Z, where the target's is not known. The draws of q see too
            little of what q misses, so that on average it is too low: a lower estimate. None where `k_hat` is over 0.7.
        reverse_kl_grid: `KL(q || p)` by quadrature, in 2-D.
        forward_kl_grid: `KL(p || q)` by quadrature, in 2-D.
        forward_kl: `KL(p || q)` from exact draws of p, where there are any: they see what q misses.
        forward_kl_std_error: its standard error, and that of `exact_log_prob`.
        exact_log_prob: `E_p[log q]` from the same draws.
        forward_ess: `1 / E_p[p / q]` from the same draws: what `ess_fraction` would be if the flow's own draws saw
            what it misses.
        log_z: the target's log Z.
        log_z_estimate: log Z by importance sampling from q.
        log_z_std_error: its standard error.
        log_z_grid: log Z by quadrature, in 2-D; None where the grid does not hold all of the mass.
        ess_fraction: effective sample size as a fraction of the samples.
        k_hat: Pareto k-hat of the importance weights.
        k_hat_verdict: what `k_hat` says, in words.
        samples: draws from q behind the numbers.
        warnings: why a number is missing or should not be trusted.
    """

    kl: float | None = None
    kl_std_error: float | None = None
    free_energy: float | None = None
    elbo: float | None = None
    kl_estimate: float | None = None
    reverse_kl_grid: float | None = None
    forward_kl_grid: float | None = None
    forward_kl: float | None = None
    forward_kl_std_error: float | None = None
    exact_log_prob: float | None = None
    forward_ess: float | None = None
    log_z: float | None = None
    log_z_estimate: float | None = None
    log_z_std_error: float | None = None
    log_z_grid: float | None = None
    ess_fraction: float | None = None
    k_hat: float | None = None
    k_hat_verdict: str = ""
    samples: int = 0
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The fields by name, ready for JSON; a number that is not finite becomes None."""
        values = asdict(self)
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in values.items()}


def judge(flow: Pushforward, target: Target, key: PRNGKeyArray, samples: int = 2**17) -> Judgement:
    """Judge `flow` by `samples` of its own draws and, in two dimensions, by quadrature on a grid.

    Args:
        flow: fitted to the target.
        target: what it was fitted to.
        key: for the draws.
        samples: draws of the flow.

    Example:
        >>> judge(flow, targets.make("u1"), jax.random.key(0)).kl
    """
    key_weights, key_grid = jax.random.split(key)
    key_exact = jax.random.fold_in(key_grid, 1)
    weights = np.asarray(eqx.filter_jit(log_weights)(flow, target.log_densities, key_weights, samples))
    judgement = Judgement(log_z=target.log_z, samples=len(weights))
    if target.dim == 2:
        judgement = _judge_by_quadrature(judgement, grid_estimate(flow, target, key_grid))
    if target.sample is not None and target.log_z is not None:
        x = target.sample(key_exact, EXACT_DRAWS)
        log_p, log_q = target.log_densities(x) - target.log_z, eqx.filter_jit(flow.log_prob)(x)
        judgement = _judge_by_exact_draws(judgement, *(np.asarray(each, np.float64) for each in (log_p, log_q)))
    try:
        judgement = _judge_by_importance(judgement, importance_estimate(weights))
    except ValueError as error:
        complaint = _complaint(flow, target, key_weights, samples)
        found = str(error) if complaint is None else f"{error}: {complaint}"
        judgement = replace(judgement, warnings=[*judgement.warnings, found])
    return replace(judgement, warnings=[*judgement.warnings, *contradictions(judgement)])


def _complaint(flow: Pushforward, target: Target, key: PRNGKeyArray, samples: int) -> str | None:
    """Where the target is not finite, at the first such draw of `log_weights`."""
    for batch_key in draw_keys(key, samples):
        x, _ = eqx.filter_jit(flow.sample_and_log_prob)(batch_key, (BATCH,))
        if complaint := target.complaint(x):
            return complaint
    return None


def _judge_by_quadrature(judgement: Judgement, grid: GridEstimate) -> Judgement:
    warnings = list(judgement.warnings)
    if grid.reverse_kl is None:
        warnings.append(
            f"the grid holds {grid.flow_mass:.1%} of the flow's mass and {grid.target_mass:.1%} of the target's: "
            "no divergence by quadrature"
        )
    return replace(
        judgement,
        reverse_kl_grid=grid.reverse_kl,
        forward_kl_grid=grid.forward_kl,
        log_z_grid=grid.log_z,
        warnings=warnings,
    )


def _judge_by_exact_draws(
    judgement: Judgement, log_p: Float[np.ndarray, " n"], log_q: Float[np.ndarray, " n"]
) -> Judgement:
    """By both log densities at draws of p."""
    log_ratios = log_p - log_q
    finite = np.isfinite(log_ratios)
    if not finite.all():
        lost = f"{np.sum(~finite):,} of {len(log_ratios):,} draws of the target"
        found = f"the log-densities are not finite at {lost}: no KL(p‖q) by them"
        return replace(judgement, warnings=[*judgement.warnings, found])
    std_error = log_ratios.std(ddof=1) / math.sqrt(len(log_ratios))
    return replace(
        judgement,
        forward_kl=float(log_ratios.mean()),
        forward_kl_std_error=float(std_error),
        exact_log_prob=float(log_q.mean()),
        forward_ess=float(np.exp(math.log(len(log_ratios)) - logsumexp(log_ratios))),
    )


def _judge_by_importance(judgement: Judgement, estimate: ImportanceEstimate) -> Judgement:
    trusted = estimate.k_hat is not None and estimate.k_hat <= K_HAT_LIMIT
    known = judgement.log_z is not None
    words = verdict(estimate.k_hat, estimate.ess_fraction)
    return replace(
        judgement,
        kl=None if judgement.log_z is None else estimate.free_energy + judgement.log_z,
        kl_std_error=estimate.free_energy_std_error,
        free_energy=estimate.free_energy,
        elbo=-estimate.free_energy,
        kl_estimate=estimate.free_energy + estimate.log_z if trusted and not known else None,
        log_z_estimate=estimate.log_z,
        log_z_std_error=estimate.log_z_std_error,
        ess_fraction=estimate.ess_fraction,
        k_hat=estimate.k_hat,
        k_hat_verdict=words,
        warnings=[*judgement.warnings, *_about_weights(estimate, trusted, known)],
    )


def _about_weights(estimate: ImportanceEstimate, trusted: bool, known: bool) -> list[str]:
    """What the weights do not bear out."""
    found = []
    if not trusted:
        lost = "" if known else ", and KL(q‖p) cannot be told from the free energy"
        found.append(f"importance weights: {verdict(estimate.k_hat, estimate.ess_fraction)}{lost}")
    kl_at_least = estimate.free_energy + estimate.log_z
    if kl_at_least > FAR:
        found.append(
            f"the flow is {kl_at_least:,.0f} nats or more from the target: train it for longer, at a larger learning "
            "rate, or bring the target to the scale of the base"
        )
    return found


def contradictions(judgement: Judgement) -> list[str]:
    """What two routes to one number say of each other, in words."""
    found = []
    kl, error = judgement.kl, judgement.kl_std_error
    if kl is not None and error is not None and kl < -4 * error:
        found.append("KL(q‖p) is negative beyond its error: the target's log Z is wrong")
    log_z, estimate, error = judgement.log_z, judgement.log_z_estimate, judgement.log_z_std_error
    if log_z is not None and estimate is not None and error is not None and abs(estimate - log_z) > 4 * error:
        found.append(f"the estimate of log Z is over 4 standard errors off: {MISSED}")
    pairs = (judgement.reverse_kl_grid, judgement.forward_kl_grid), (kl, judgement.forward_kl)
    if any(
        forward > max(3 * reverse, 0.5) for reverse, forward in pairs if reverse is not None and forward is not None
    ):
        found.append(f"KL(p‖q) is far above KL(q‖p): {MISSED}")
    return found
