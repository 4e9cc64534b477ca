"""Simulate, train, judge, and write the result."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pushforward.errors import UserError
from pushforward.evaluation import predictive
from pushforward.evaluation.calibration import LEAST_CASES
from pushforward.evaluation.means import finite_or_none
from pushforward.evaluation.predictive import LEAST_DRAWS
from pushforward.experiments.infer.run import FLOW, SIMULATIONS, InferRun
from pushforward.experiments.progress import counting_progress
from pushforward.experiments.runs import environment
from pushforward.experiments.summaries import listed
from pushforward.inference.simulation import Estimator, Settings, Simulations, estimate, simulate, truncated
from pushforward.saving import save
from pushforward.training import Record

PREDICTED = 1000


def run_infer(run: InferRun, *, quiet: bool = False) -> dict[str, Any]:
    """Simulate what is not on disk yet, train the flow, judge its calibration, and draw given the observation.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: the simulator, the prior, the observation or the pairs cannot be used.
        Diverged: the training met a number that is not finite.
    """
    config, began = run.config, time.perf_counter()
    key = jax.random.key(config.seed)
    settings = Settings(
        layers=config.layers,
        width=config.width,
        bins=config.bins,
        embedding=config.embedding,
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        steps=config.steps,
    )
    simulations = run.pairs()
    estimator: Estimator | None = None
    if simulations is not None:
        estimator = _trained(run, simulations, settings, quiet)
    else:
        for index in range(config.rounds):
            simulations = _simulated(run, index, simulations, estimator, quiet)
            _check_observation(run, simulations)
            estimator = _trained(run, simulations, settings, quiet)
    assert estimator is not None
    assert simulations is not None
    save(estimator.model, run.folder / FLOW)
    result: dict[str, Any] = {
        "description": run.prior.describe(),
        "shape": list(estimator.shape),
        "simulations": len(simulations),
        "failures": dict(simulations.failures),
        **{
            f"{name}_log_likelihood": finite_or_none(value)
            for name, value in zip(("train", "validation", "test"), estimator.trained.log_likelihoods)
        },
        "best_step": estimator.trained.best_step,
        "steps": estimator.trained.steps,
        "warnings": [] if simulations.complaint is None else [simulations.complaint],
    }
    if len(estimator.trained.test) >= LEAST_CASES and config.rounds == 1:
        found = estimator.calibration(jax.random.fold_in(key, 1_000))
        run.keep_calibration(found)
        result |= {"calibration": found.verdict, "calibrated": not found.rejected}
        result["warnings"] += [found.verdict] if found.rejected else []
    if run.observation is not None:
        result |= _given_the_observation(run, estimator, result["warnings"])
    result |= {
        "seconds": time.perf_counter() - began,
        "command": config.command(),
        "environment": environment(),
    }
    run.write_result(result)
    return result


def _simulated(
    run: InferRun, index: int, before: Simulations | None, estimator: Estimator | None, quiet: bool
) -> Simulations:
    """The simulations of all rounds up to this one."""
    config = run.config
    key = jax.random.fold_in(jax.random.key(config.seed), index)
    shares = np.diff(np.linspace(0, config.simulations, config.rounds + 1).astype(int))
    draws = None
    if estimator is not None and run.observation is not None:
        draws = truncated(estimator, run.observation, jax.random.fold_in(key, 1))
    title = "simulations" if config.rounds == 1 else f"round {index + 1} of {config.rounds}"
    with counting_progress(title, int(shares[index]), "simulations", quiet=quiet) as progress:
        found = simulate(
            run.prior,
            run.simulator,
            key,
            int(shares[index]),
            draws=draws,
            folder=run.folder / SIMULATIONS / f"round-{index}",
            on_progress=progress,
        )
    return found if before is None else before.and_then(found)


def _check_observation(run: InferRun, simulations: Simulations) -> None:
    x = run.observation
    if x is not None and x.shape != simulations.x.shape[1:]:
        shape = simulations.x.shape[1:]
        raise UserError(f"{run.config.observation} has the shape {x.shape}, {run.simulator.name} returns {shape}")


def _trained(run: InferRun, simulations: Simulations, settings: Settings, quiet: bool) -> Estimator:
    _check_observation(run, simulations)
    run.drop_records_after(0)
    with counting_progress("training", settings.steps_of(len(simulations)), "steps", quiet=quiet) as progress:

        def record(each: Record, _: int) -> None:
            run.append_record(each)
            progress(each.step)

        key = jax.random.fold_in(jax.random.key(run.config.seed), 500)
        return estimate(run.prior, simulations, key, settings, on_record=record)


def _given_the_observation(run: InferRun, estimator: Estimator, warnings: list[str]) -> dict[str, Any]:
    """Draws, their summary, and whether they predict what was observed."""
    x, config = run.observation, run.config
    assert x is not None
    key_draws, key_predict = jax.random.split(jax.random.fold_in(jax.random.key(config.seed), 2_000))
    warnings += estimator.doubts(x)
    coordinates, _ = estimator.coordinates(key_draws, config.draws, x)
    draws = estimator.constrained(coordinates)
    run.keep_draws(draws)
    behind = jnp.asarray(np.resize(coordinates, (PREDICTED, coordinates.shape[1])))
    found: dict[str, Any] = {"summary": listed(estimator.summary(draws))}
    try:
        again = simulate(run.prior, run.simulator, key_predict, PREDICTED, draws=lambda _, n: behind[:n])
    except UserError as error:
        warnings.append(f"nothing can be predicted from the posterior: {error}")
        return found
    if len(again) >= LEAST_DRAWS:
        names = estimator.model.encoder.columns
        check = predictive(again.x.reshape(len(again), -1), x.ravel(), names)
        run.keep_predictive(check)
        found |= {"predictive": check.verdict, "predicted": not check.contradicts}
        warnings += [check.verdict] if check.contradicts else []
    return found
