"""Fit a flow to a density, judge it, and write both down."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.distributions import Pushforward
from pushforward.evaluation import coverage, judge, log_weights
from pushforward.evaluation.means import finite_or_none
from pushforward.experiments.fit.models import make_ensemble, make_loss
from pushforward.experiments.fit.run import FitRun
from pushforward.experiments.session import description, purpose_key, train
from pushforward.inference.starts import wide_start
from pushforward.probes import refreshed
from pushforward.targets.callbacks import naming_failures
from pushforward.training import Diverged, Divergence, Fit, adam, member
from pushforward.training.state import keys_of_parts

SELECTION_SAMPLES, COVERED_BY = 2**15, 4096
LAST = np.finfo(float).max


@naming_failures()
def run_fit(run: FitRun, *, quiet: bool = False) -> dict[str, Any]:
    """Train from the newest checkpoint of `run`, or from the start; judge the best restart; write `result.json`.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: the settings cannot work, or a checkpoint cannot be read or written.
        Diverged: every restart met a number that is not finite.
        Interrupted: a signal arrived; the checkpoint is written.
    """
    config, target = run.config, run.target
    try:
        trained, seconds = train(
            run,
            lambda: make_ensemble(config, target.dim),
            make_loss(config, target),
            adam(config.learning_rate, config.steps, schedule=config.schedule, gradient_clip=config.gradient_clip),
            quiet=quiet,
        )
    except Diverged as error:
        points = [point for point in _not_finite(run, error.models, error.divergences) if point]
        said = f"{error}; {points[0]}" if points else str(error)
        raise Diverged(said, error.models, error.divergences) from error

    measure, values = _measured(run, trained)
    best = _best(values, trained.divergences)
    judgement = judge(member(trained.model, best), target, purpose_key(config, 3), config.samples)
    result = {
        **judgement.as_dict(),
        **_covered(run, member(trained.model, best), judgement.warnings),
        "restarts_measure": measure,
        "restarts": [
            float(value) if divergence is None and np.isfinite(value) else None
            for value, divergence in zip(values, trained.divergences)
        ],
        "best_restart": best,
        **description(run, trained, seconds),
    }
    where = _not_finite(run, trained.model, trained.divergences)
    result["divergences"] = [lost and {**lost, "point": point} for lost, point in zip(result["divergences"], where)]
    run.write_result(result)
    return result


def _measured(run: FitRun, trained: Fit[Pushforward]) -> tuple[str, Float[np.ndarray, " restarts"]]:
    """What restarts are compared by, the lower the better, and what it is of each.

    A flow that has lost modes has a low free energy: what was trained on annealed draws is compared by its last loss.
    """
    if run.config.objective != "reverse-kl":
        last = trained.records[-1].loss if trained.records else np.array(run.metrics[-1]["loss"], float)
        return "cross_entropy", last
    free_energies = _free_energies(trained.model, run)
    if run.target.log_z is None:
        return "free_energy", free_energies
    return "kl", free_energies + run.target.log_z


def _covered(run: FitRun, flow: Pushforward, warnings: list[str]) -> dict[str, Any]:
    """What draws from a wide start say, where neither exact draws nor quadrature tell what is missing."""
    target = run.target
    if target.sample is not None or target.dim == 2:
        return {}
    key = purpose_key(run.config, 4)
    key_draws, key_check = jax.random.split(key)
    start = wide_start(target, np.asarray(flow.sample(key_draws, (COVERED_BY,))))
    found = coverage(flow, target, start, key_check)
    told = {name: finite_or_none(value) for name, value in asdict(found).items()}
    return {"coverage": told, "warnings": [*warnings, *([found.verdict] if found.contradicts else [])]}


def _best(values: Float[np.ndarray, " restarts"], divergences: Sequence[Divergence | None]) -> int:
    """The restart of lowest measure among those that live; the first of these where none has a finite one."""
    living = np.array([lost is None for lost in divergences])
    ranked = np.where(np.isfinite(values), values, LAST)
    return int(np.argmin(np.where(living, ranked, np.inf)))


def _not_finite(run: FitRun, models: Pushforward, divergences: Sequence[Divergence | None]) -> list[str | None]:
    """Where the target is not finite among the draws of the step at which a restart diverged, for each restart."""
    keys = jax.random.split(purpose_key(run.config, 1), len(divergences))

    def point(index: int, step: int) -> str | None:
        for key in keys_of_parts(jax.random.fold_in(keys[index], step), run.config.accumulate):
            flow = refreshed(member(models, index), jax.random.fold_in(key, 1))
            x, _ = eqx.filter_jit(flow.sample_and_log_prob)(key, (run.config.at_once,))
            if (complaint := run.target.complaint(x)) is not None:
                return complaint
        return None

    return [None if lost is None else point(index, lost.step) for index, lost in enumerate(divergences)]


def _free_energies(models: Pushforward, run: FitRun) -> Float[np.ndarray, " restarts"]:
    """The free energy of every restart, from draws of their own: those that judge the best one are others."""

    @eqx.filter_jit
    def free_energies(models: Pushforward) -> Float[Array, " restarts"]:
        def free_energy(flow: Pushforward) -> Float[Array, ""]:
            return -jnp.mean(log_weights(flow, run.target.log_densities, purpose_key(run.config, 2), SELECTION_SAMPLES))

        return eqx.filter_vmap(free_energy)(models)

    return np.asarray(free_energies(models), np.float64)
