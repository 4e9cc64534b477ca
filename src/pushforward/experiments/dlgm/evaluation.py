"""Bounds of `log p(x)` for a trained deep latent Gaussian model, added to the result of its run."""

import time
from typing import Any

import numpy as np
from jaxtyping import Float

from pushforward.errors import UserError
from pushforward.evaluation.ais import linear_schedule, sigmoidal_schedule
from pushforward.evaluation.means import mean_and_std_error
from pushforward.experiments.dlgm.config import EvaluateConfig
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.experiments.session import purpose_key
from pushforward.models.evaluation import (
    Annealing,
    OnProgress,
    annealed_bound,
    bidirectional_bounds,
    importance_bound,
)
from pushforward.progress import counting_progress, lines_console

MEGABYTE = 2**20
LONG = 10.0  # seconds, of which a user wants to know before


def run_evaluation(run: DlgmRun, config: EvaluateConfig, *, quiet: bool = False) -> dict[str, Any]:
    """Evaluate a finished run by one estimator, and add its numbers to `result.json`.

    Each number comes with its standard error over the test images, in nats. `kl_posterior`, the mean of
    `KL(q(z | x) || p(z | x))`, is the free energy less the best estimate of `-log p(x)` that there is, image by image:
    the estimates of `-log p(x)` are upper bounds on average, and so it is a lower one.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: the run is not finished, or there are fewer test images than asked for.
    """
    result = dict(run.result)
    run.check_data()
    images = len(run.dataset.test)
    points = config.points or (min(images, 1000) if config.estimator != "iwae" else images)
    if points > images and config.estimator != "bdmc":
        raise UserError(f"--points must be {images} or less, the images of the test set, got {points}")
    start = time.perf_counter()
    with counting_progress(f"{config.estimator} · {run.config.title}", points, "images", quiet) as on_progress:
        numbers, details = ESTIMATORS[config.estimator](run, config, points, _foretold(on_progress, points, quiet))
    seconds = time.perf_counter() - start
    details |= {"seconds": seconds, "command": config.command()}
    if evaluations := details.get("likelihood_evaluations"):
        details["likelihood_evaluations_per_second"] = evaluations / seconds
    result |= numbers
    result["evaluations"] = {**result.get("evaluations", {}), config.estimator: details}
    result |= _posterior_divergence(run, result)
    run.write_result(result)
    return result


def _foretold(on_progress: OnProgress, points: int, quiet: bool) -> OnProgress:
    """The same, and a line that says how long all images would take, once the first of them are done."""
    start, told = time.perf_counter(), False

    def update(done: int) -> None:
        nonlocal told
        on_progress(done)
        rest = (time.perf_counter() - start) * (points / done - 1)
        if not told and rest > LONG:
            lines_console(quiet).print(f"{done:,} of at most {points:,} images done, {rest / 60:.1f} min to go at most")
        told = True

    return update


def _importance(
    run: DlgmRun, config: EvaluateConfig, points: int, on_progress: OnProgress
) -> tuple[dict[str, Any], dict[str, Any]]:
    bound = importance_bound(
        run.model,
        run.test_observations[:points],
        purpose_key(run.config, 5 + config.seed),
        draws=config.draws,
        error=config.error,
        memory=config.memory * MEGABYTE,
        on_progress=on_progress,
    )
    run.write_points("iwae", nll=-bound.log_likelihood)
    details = {
        "draws": config.draws,
        "median_ess": float(np.median(bound.ess)),
        "points": len(bound.ess),
        "likelihood_evaluations": len(bound.ess) * config.draws,
    }
    return _estimate("nll_iwae", -bound.log_likelihood), details


def _annealed(
    run: DlgmRun, config: EvaluateConfig, points: int, on_progress: OnProgress
) -> tuple[dict[str, Any], dict[str, Any]]:
    annealing = make_annealing(config)
    bound = annealed_bound(
        run.model,
        run.test_observations[:points],
        purpose_key(run.config, 5 + config.seed),
        annealing,
        error=config.error,
        memory=config.memory * MEGABYTE,
        on_progress=on_progress,
    )
    run.write_points("ais", nll=-bound.log_likelihood)
    details = {
        **_path(config),
        "acceptance": float(np.mean(bound.acceptance)),
        "median_std_error_of_an_image": float(np.median(bound.std_error)),
        "points": len(bound.std_error),
        "likelihood_evaluations": len(bound.std_error) * annealing.evaluations,
    }
    return _estimate("nll_ais", -bound.log_likelihood), details


def _bidirectional(
    run: DlgmRun, config: EvaluateConfig, points: int, on_progress: OnProgress
) -> tuple[dict[str, Any], dict[str, Any]]:
    bounds = bidirectional_bounds(
        run.model,
        purpose_key(run.config, 5 + config.seed),
        make_annealing(config),
        points=points,
        error=config.error,
        memory=config.memory * MEGABYTE,
        on_progress=on_progress,
    )
    lower, upper = mean_and_std_error(bounds.lower), mean_and_std_error(bounds.upper)
    details = {
        **_path(config),
        "points": len(bounds.lower),
        "simulated_lower_bound": lower[0],
        "simulated_upper_bound": upper[0],
    }
    return _estimate("bdmc_gap", bounds.upper - bounds.lower), details


ESTIMATORS = {"iwae": _importance, "ais": _annealed, "bdmc": _bidirectional}


def make_annealing(config: EvaluateConfig) -> Annealing:
    """How annealed importance sampling is done, from the settings."""
    schedule = {"linear": linear_schedule, "sigmoidal": sigmoidal_schedule}[config.schedule]
    return Annealing(schedule(config.temperatures), config.chains, config.leapfrog_steps, config.start)


def _path(config: EvaluateConfig) -> dict[str, Any]:
    names = "chains", "temperatures", "leapfrog_steps", "schedule", "start"
    return {name: getattr(config, name) for name in names}


def _estimate(name: str, values: Float[np.ndarray, " n"]) -> dict[str, float | None]:
    mean, std_error = mean_and_std_error(np.asarray(values, np.float64))
    return {name: mean, f"{name}_std_error": std_error}


def _posterior_divergence(run: DlgmRun, result: dict[str, Any]) -> dict[str, Any]:
    """`KL(q || p(z | x))` by annealed importance sampling where it was done, else by importance sampling."""
    by = next((name for name in ("ais", "iwae") if result.get(f"nll_{name}") is not None), None)
    if by is None:
        return {}
    nll, free_energy = run.points(by)["nll"], run.points("free-energy")["free_energy"]
    divergence = _estimate("kl_posterior", free_energy[: len(nll)] - nll)
    return {**divergence, "kl_posterior_by": by, "kl_posterior_bound": "lower, on average"}
