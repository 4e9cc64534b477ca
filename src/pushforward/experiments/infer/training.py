"""Simulate, train, judge, and write the result."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pushforward import inference
from pushforward.errors import UserError
from pushforward.evaluation import predictive
from pushforward.evaluation.calibration import LEAST_CASES
from pushforward.evaluation.local import LEAST_CASES as LEAST_LOCAL_CASES
from pushforward.evaluation.means import finite_or_none
from pushforward.evaluation.predictive import LEAST_DRAWS
from pushforward.experiments.infer.run import FLOW, SIMULATIONS, InferRun
from pushforward.experiments.runs import environment
from pushforward.experiments.summaries import listed
from pushforward.inference.simulation import (
    Estimator,
    Likelihood,
    Settings,
    Simulations,
    estimate,
    estimate_likelihood,
    simulate,
    truncated,
)
from pushforward.inference.simulation.simulators import data_names
from pushforward.progress import counting_progress
from pushforward.saving import save
from pushforward.training import Record
from pushforward.types import PRNGKeyArray

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
        members=config.members,
        learning_rate=config.learning_rate,
        batch_size=config.batch_size,
        steps=config.steps,
        devices=run.devices,
    )
    simulations = run.pairs()
    found: Estimator | Likelihood | None = None
    if simulations is not None:
        found = _trained(run, simulations, settings, quiet)
    else:
        for index in range(config.rounds):
            simulations = _simulated(run, index, simulations, found, quiet)
            _check_observation(run, simulations)
            found = _trained(run, simulations, settings, quiet)
    assert found is not None
    assert simulations is not None
    save(found.model, run.folder / FLOW)
    trained = found.trained
    result: dict[str, Any] = {
        "description": run.prior.describe(),
        "shape": list(found.shape),
        "simulations": len(simulations),
        "failures": dict(simulations.failures),
        **{
            f"{name}_log_likelihood": finite_or_none(value)
            for name, value in zip(("train", "validation", "test"), trained.log_likelihoods)
        },
        "best_steps": list(trained.best_steps),
        "best_member": trained.best,
        "steps": trained.steps,
        "warnings": [] if simulations.complaint is None else [simulations.complaint],
    }
    if isinstance(found, Estimator) and len(trained.test) >= LEAST_CASES and config.rounds == 1:
        calibration = found.calibration(jax.random.fold_in(key, 1_000))
        run.keep_calibration(calibration)
        result |= {"calibration": calibration.verdict, "calibrated": not calibration.rejected}
        result["warnings"] += [calibration.verdict] if calibration.rejected else []
    if run.observation is not None:
        key_draws, warnings = jax.random.fold_in(key, 2_000), result["warnings"]
        if isinstance(found, Likelihood):
            coordinates, told = _by_chains(run, found, key_draws, warnings)
        else:
            coordinates, told = _drawn(run, found, key_draws, warnings)
            told |= _judged_locally(run, found, warnings)
        result |= told | _predicted(run, coordinates, result["warnings"])
    result |= {
        "seconds": time.perf_counter() - began,
        "command": config.command(),
        "environment": environment(),
    }
    run.write_result(result)
    return result


def _simulated(
    run: InferRun, index: int, before: Simulations | None, found: Estimator | Likelihood | None, quiet: bool
) -> Simulations:
    """The simulations of all rounds up to this one."""
    config = run.config
    key = jax.random.fold_in(jax.random.key(config.seed), index)
    shares = np.diff(np.linspace(0, config.simulations, config.rounds + 1).astype(int))
    draws = None
    if isinstance(found, Estimator) and run.observation is not None:
        draws = truncated(found, run.observation, jax.random.fold_in(key, 1))
    title = "simulations" if config.rounds == 1 else f"round {index + 1} of {config.rounds}"
    with counting_progress(title, int(shares[index]), "simulations", quiet=quiet) as progress:
        simulated = simulate(
            run.prior,
            run.simulator,
            key,
            int(shares[index]),
            draws=draws,
            folder=run.folder / SIMULATIONS / f"round-{index}",
            on_progress=progress,
        )
    return simulated if before is None else before.and_then(simulated)


def _check_observation(run: InferRun, simulations: Simulations) -> None:
    x = run.observation
    if x is not None and x.shape != simulations.x.shape[1:]:
        shape = simulations.x.shape[1:]
        raise UserError(f"{run.config.observation} has the shape {x.shape}, {run.simulator.name} returns {shape}")


def _trained(run: InferRun, simulations: Simulations, settings: Settings, quiet: bool) -> Estimator | Likelihood:
    _check_observation(run, simulations)
    run.drop_records_after(0)
    with counting_progress("training", settings.steps_of(len(simulations)), "steps", quiet=quiet) as progress:

        def record(each: Record, _: int) -> None:
            run.append_record(each)
            progress(each.step)

        key = jax.random.fold_in(jax.random.key(run.config.seed), 500)
        how = estimate_likelihood if run.config.method == "nle" else estimate
        return how(run.prior, simulations, key, settings, on_record=record)


def _drawn(
    run: InferRun, estimator: Estimator, key: PRNGKeyArray, warnings: list[str]
) -> tuple[Float[np.ndarray, "n D"], dict[str, Any]]:
    """Draws given the observation in the prior's coordinates, kept by name, and their summary."""
    x = run.observation
    assert x is not None
    warnings += estimator.doubts(x)
    coordinates, _ = estimator.coordinates(key, run.config.draws, x)
    draws = estimator.constrained(coordinates)
    run.keep_draws(draws)
    return coordinates, {"summary": listed(estimator.summary(draws))}


def _judged_locally(run: InferRun, estimator: Estimator, warnings: list[str]) -> dict[str, Any]:
    """Whether the posterior of the observation is right, as far as test pairs tell."""
    if run.config.rounds > 1 or len(estimator.trained.test) < LEAST_LOCAL_CASES:
        return {}
    assert run.observation is not None
    found = estimator.local_c2st(jax.random.fold_in(jax.random.key(run.config.seed), 4_000), run.observation)
    warnings += [found.verdict] if found.rejected else []
    return {"local": found.verdict, "right_here": not found.rejected, "local_p_value": found.p_value}


def _by_chains(
    run: InferRun, likelihood: Likelihood, key: PRNGKeyArray, warnings: list[str]
) -> tuple[Float[np.ndarray, "n D"], dict[str, Any]]:
    """The same of the chains behind a flow that is fitted to prior and likelihood."""
    assert run.observation is not None
    key_fit, key_chains = jax.random.split(key)
    posterior = inference.fit(likelihood.posterior(run.observation), key_fit, quiet=True)
    posterior = posterior.refine(key_chains, quiet=True)
    chains = posterior.chains
    assert chains is not None
    warnings += [] if chains.agreed else [chains.verdict]
    coordinates = chains.coordinates.reshape(-1, run.prior.dim)
    named = posterior.constrained(coordinates)
    run.keep_draws({each.name: named[each.name] for each in run.prior.parameters})
    return coordinates, {"summary": listed(posterior.summary()), "chains": chains.verdict, "agreed": chains.agreed}


def _predicted(run: InferRun, coordinates: Float[np.ndarray, "n D"], warnings: list[str]) -> dict[str, Any]:
    """Whether data simulated from the draws are like what was observed."""
    x, key = run.observation, jax.random.fold_in(jax.random.key(run.config.seed), 3_000)
    assert x is not None
    places = np.linspace(0, len(coordinates) - 1, PREDICTED).astype(int)
    behind = jnp.asarray(coordinates[places], float)
    try:
        again = simulate(run.prior, run.simulator, key, PREDICTED, draws=lambda _, n: behind[:n])
    except UserError as error:
        warnings.append(f"nothing can be predicted from the posterior: {error}")
        return {}
    if len(again) < LEAST_DRAWS:
        return {}
    check = predictive(again.x.reshape(len(again), -1), x.ravel(), data_names(x.shape))
    run.keep_predictive(check)
    warnings += [check.verdict] if check.contradicts else []
    return {"predictive": check.verdict, "predicted": not check.contradicts}
