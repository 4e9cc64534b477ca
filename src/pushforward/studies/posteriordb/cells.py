"""Posteriors of posteriordb: fitted, weighted, refined, and approximated in other ways, beside reference draws."""

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from pushforward import inference, posteriors
from pushforward.devices import double_precision
from pushforward.errors import UserError, nearest
from pushforward.evaluation import importance_estimate, log_weights, smoothed_weights
from pushforward.evaluation.means import finite_or_none
from pushforward.experiments.cluster import Cluster
from pushforward.inference import Posterior
from pushforward.inference.chains import diagnose
from pushforward.posteriors import POSTERIORDB, reference_draws
from pushforward.studies.base import Cells, Study, measured
from pushforward.studies.posteriordb import peers
from pushforward.studies.posteriordb.config import PosteriordbConfig
from pushforward.studies.posteriordb.measures import Draws, compared, known_log_z

Result = dict[str, Any]
PosteriordbStudy = Study[PosteriordbConfig, Result]

OURS, NUTS, PATHFINDER = "pushforward", "NUTS", "Pathfinder"
GUIDES = ("AutoNormal", "AutoMultivariateNormal", "AutoLaplaceApproximation", "AutoIAFNormal", "AutoBNAFNormal")
METHODS = (OURS, NUTS, PATHFINDER, *GUIDES)
DRAWS = 20_000
LOG_Z_BY = 2**19
"""Draws that judge log Z where it is known: its standard error is a few parts in ten thousand."""


@dataclass(frozen=True)
class Effort:
    """How much of everything; see `PosteriordbConfig`."""

    posteriors: tuple[str, ...]
    seeds: int
    seconds: float
    steps: int
    chain: int


SMOKE = Effort(("eight_schools-eight_schools_noncentered", "kidiq-kidscore_momiq"), 1, 15.0, 500, 200)
PAPER = Effort(
    # What is no linear regression first.
    tuple(sorted(POSTERIORDB, key=lambda name: POSTERIORDB[name].model.startswith("regressions"))),
    3,
    60.0,
    5_000,
    1_000,
)


def run_posteriordb(config: PosteriordbConfig, cluster: Cluster | None = None) -> PosteriordbStudy:
    """46 posteriors of posteriordb against their reference draws: fit, NumPyro's guides, Pathfinder, NUTS.

    Raises:
        UserError: there is no such posterior or method, or the data of one cannot be had.
    """
    effort = SMOKE if config.budget == "smoke" else PAPER
    given = {name: value for name in asdict(effort) if (value := getattr(config, name, None)) is not None}
    effort = replace(effort, **given)
    for name in effort.posteriors:
        if name not in POSTERIORDB:
            raise UserError(f"unknown posterior of posteriordb {name!r}{nearest(name, POSTERIORDB)}")
    for method in config.methods:
        if method not in METHODS:
            raise UserError(f"unknown method {method!r}{nearest(method, METHODS)}; there are {', '.join(METHODS)}")
    cells = [
        (name, method, seed)
        for seed in range(config.seed, config.seed + effort.seeds)
        for name in effort.posteriors
        for method in config.methods
        if method == OURS or seed == config.seed
    ]
    files = [
        Cells.one(
            config.folder / "cells" / f"{name}-{method}-{seed}.json",
            _settings(config, effort, method),
            f"{__name__}:measure",
            *(config, effort, name, method, seed),
        )
        for name, method, seed in cells
    ]
    return Study(config, measured(config, files, cluster))


def _settings(config: PosteriordbConfig, effort: Effort, method: str) -> dict[str, float]:
    """What a cell depends on."""
    if method == OURS:
        return {"seconds": effort.seconds, "ess": config.ess}
    return {"transitions": effort.chain} if method == NUTS else {"steps": effort.steps} if method in GUIDES else {}


def measure(config: PosteriordbConfig, effort: Effort, name: str, method: str, seed: int) -> Result:
    """Every number about a cell; one that fails says why."""
    # Data that cannot be had are no failure of a method.
    _ = posteriors.load(name), reference_draws(name)
    with double_precision():
        return _measured(config, effort, name, method, seed)


def _measured(config: PosteriordbConfig, effort: Effort, name: str, method: str, seed: int) -> Result:
    key = jax.random.fold_in(jax.random.key(seed), sorted(POSTERIORDB).index(name))
    began = time.perf_counter()
    common = {"posterior": name, "method": method, "seed": seed}
    try:
        if method == OURS:
            found = _fitted(name, key, effort.seconds, config.ess)
        elif method == NUTS:
            found = _chains(name, key, effort.chain)
        else:
            found = _approximated(name, method, key, effort.steps)
    except (UserError, ValueError, FloatingPointError) as error:
        found = {"failed": str(error)}
    return common | {"known_log_z": known_log_z(name), "seconds": time.perf_counter() - began} | found


def _fitted(name: str, key: jax.Array, seconds: float, ess: float) -> Result:
    """The ladder, its draws before and after weighting, and after chains."""
    key_fit, key_chains, key_log_z = jax.random.split(key, 3)
    began = time.perf_counter()
    target = posteriors.make(name)
    posterior = inference.fit(target, key_fit, seconds=seconds, quiet=True)
    verdict = posterior.verdict
    to_verdict = time.perf_counter() - began
    best, reference = posterior.best, _reference(name)
    count = len(posterior.weights)
    result = {
        "dim": target.dim,
        "rung": best.name,
        "elbo": best.elbo,
        **{key: value if value is None else finite_or_none(value) for key, value in asdict(best.estimate).items()},
        "usable": best.usable,
        "verdict": verdict,
        "coverage": None if posterior.coverage is None else asdict(posterior.coverage),
        "trusted": posterior.trusted,
        "seconds_to_verdict": to_verdict,
        "evaluations": sum(rung.evaluations for rung in posterior.rungs),
        "unweighted": compared(name, posterior.draws, np.full(count, 1 / count), reference),
        "weighted": compared(name, posterior.draws, posterior.weights, reference),
    }
    if known_log_z(name) is not None:
        weigh = eqx.filter_jit(lambda flow, key: log_weights(flow, target.log_densities, key, LOG_Z_BY))
        found = importance_estimate(np.asarray(weigh(best.flow, key_log_z), np.float64))
        result |= {"log_z": found.log_z, "log_z_std_error": found.log_z_std_error}
    return result | _refined(name, posterior, key_chains, 2 * seconds, ess, reference)


def _refined(name: str, posterior: Posterior, key: jax.Array, seconds: float, ess: float, reference: Draws) -> Result:
    began = time.perf_counter()
    refined = posterior.refine(key, ess=ess, seconds=seconds, quiet=True)
    spent = time.perf_counter() - began
    chains = refined.chains
    assert chains is not None
    draws = _flat(refined.constrained(chains.coordinates))
    return {
        "seconds_of_chains": spent,
        "agreed": chains.agreed,
        "r_hat": max(each.r_hat for each in chains.diagnoses),
        "ess": min(min(each.bulk, each.tail) for each in chains.diagnoses),
        "divergent": float(chains.divergent.mean()),
        "refined": compared(name, draws, _equal(draws), reference),
    }


def _chains(name: str, key: jax.Array, transitions: int) -> Result:
    """NUTS without a flow."""
    began = time.perf_counter()
    draws, divergent = peers.nuts(posteriors.make(name), key, transitions, transitions)
    spent = time.perf_counter() - began
    reference = _reference(name)
    diagnoses = diagnose({key: draws[key] for key in reference})
    flat = _flat(draws)
    return {
        "seconds_to_verdict": spent,
        "divergent": divergent,
        "r_hat": finite_or_none(max(each.r_hat for each in diagnoses)),
        "ess": finite_or_none(min(min(each.bulk, each.tail) for each in diagnoses)),
        "unweighted": compared(name, flat, _equal(flat), reference),
    }


def _approximated(name: str, method: str, key: jax.Array, steps: int) -> Result:
    """A guide or Pathfinder, before and after weighting."""
    began = time.perf_counter()
    target = posteriors.make(name)
    if method == PATHFINDER:
        found = peers.pathfinder(target, key, DRAWS)
    else:
        found = peers.guided(*posteriors.load(name), method, key, steps, DRAWS)
    log_p = np.asarray(jax.jit(target.log_densities)(found.coordinates), np.float64)
    log_weights = np.nan_to_num(log_p - found.log_q, nan=-np.inf, posinf=-np.inf)
    estimate = importance_estimate(log_weights)
    spent = time.perf_counter() - began
    draws = {key: np.asarray(values) for key, values in jax.jit(target.constrain)(found.coordinates).items()}
    reference = _reference(name)
    stages = {
        "unweighted": compared(name, draws, _equal(draws), reference),
        "weighted": compared(name, draws, smoothed_weights(log_weights), reference),
    }
    numbers = [each[error] for stage in stages.values() for each in stage for error in ("mean", "sd", "wasserstein")]
    if not all(map(math.isfinite, numbers)):
        raise UserError("the moments of its draws are not finite")
    return {
        "seconds_to_verdict": spent,
        "elbo": finite_or_none(float(np.mean(log_weights))),
        **{key: value if value is None else finite_or_none(value) for key, value in asdict(estimate).items()},
        **stages,
    }


def _reference(name: str) -> Draws:
    return _flat(reference_draws(name))


def _flat(draws: dict[str, Float[np.ndarray, "chains n ..."]]) -> Draws:
    return {key: values.reshape(-1, *values.shape[2:]) for key, values in draws.items()}


def _equal(draws: Draws) -> Float[np.ndarray, " n"]:
    count = len(next(iter(draws.values())))
    return np.full(count, 1 / count)
