"""Fit a posterior, or refine it, and write both down."""

import time
from dataclasses import asdict
from typing import Any

import jax

from pushforward.evaluation.means import finite_or_none
from pushforward.experiments.posterior.run import CHAINS, PosteriorRun
from pushforward.experiments.runs import environment
from pushforward.experiments.summaries import listed
from pushforward.inference import Posterior, Rung, fit
from pushforward.inference.kernels import Method


def run_posterior(run: PosteriorRun, *, quiet: bool = False) -> dict[str, Any]:
    """Climb the ladder, keep the best rung, and write the result.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: the model has no density at any start, or every approximation diverged.
    """
    config, began = run.config, time.perf_counter()
    posterior = fit(run.target, jax.random.key(config.seed), seconds=config.seconds, draws=config.draws, quiet=quiet)
    (run.folder / CHAINS).unlink(missing_ok=True)
    return _kept(run, posterior, time.perf_counter() - began, [_of(rung) for rung in posterior.rungs])


def run_refinement(
    run: PosteriorRun, method: Method, ess: float, seconds: float, *, quiet: bool = False
) -> dict[str, Any]:
    """Run chains behind the flow of a finished run, or go on with those that it has, and write the result.

    Args:
        run: the finished run.
        method: how the chains move.
        ess: bulk and tail ESS that every number must reach.
        seconds: after which it stops.
        quiet: no line a round.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: the run is not finished, or its model is not at hand.
    """
    posterior, began = run.posterior(), time.perf_counter()
    drawn = 0 if posterior.chains is None else posterior.chains.log_p.size
    key = jax.random.fold_in(jax.random.key(run.config.seed), 1 + drawn)
    refined = posterior.refine(key, method=method, ess=ess, seconds=seconds, quiet=quiet)
    spent = run.result["seconds"] + time.perf_counter() - began
    return _kept(run, refined, spent, run.result["ladder"])


def _kept(run: PosteriorRun, posterior: Posterior, seconds: float, ladder: list[dict[str, Any]]) -> dict[str, Any]:
    run.keep(posterior)
    chains, best = posterior.chains, posterior.best
    result = {
        "description": run.target.describe(),
        "best": _of(best),
        "ladder": ladder,
        "summary": listed(posterior.summary()),
        "verdict": posterior.verdict,
        "trusted": posterior.trusted if chains is None else chains.agreed,
        "refined": chains is not None,
        "coverage": None if posterior.coverage is None else _finite(asdict(posterior.coverage)),
        "warnings": [],
        "seconds": seconds,
        "command": run.config.command(),
        "environment": environment(),
    }
    run.write_result(result)
    return result


def _of(rung: Rung) -> dict[str, Any]:
    numbers = {"elbo": rung.elbo, "elbo_std_error": rung.elbo_std_error, **asdict(rung.estimate)}
    exact = {"outside": rung.outside, "seconds": rung.seconds, "evaluations": rung.evaluations}
    return {"name": rung.name, **_finite(numbers), **exact}


def _finite(numbers: dict[str, float | None]) -> dict[str, float | None]:
    return {name: None if value is None else finite_or_none(value) for name, value in numbers.items()}
