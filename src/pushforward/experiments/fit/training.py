"""Fit a flow to a density, judge it, and write both down."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.distributions import Pushforward
from pushforward.evaluation import judge, log_weights
from pushforward.experiments.fit.models import make_ensemble, make_loss
from pushforward.experiments.fit.run import FitRun
from pushforward.experiments.session import description, purpose_key, train
from pushforward.probes import refreshed
from pushforward.targets.callbacks import naming_failures
from pushforward.training import Diverged, Divergence, adam, member

SELECTION_SAMPLES = 2**15
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
        raise Diverged(f"{error}; {points[0]}" if points else str(error)) from error

    free_energies = _free_energies(trained.model, run)
    best = _best(free_energies, trained.divergences)
    judgement = judge(member(trained.model, best), target, purpose_key(config, 3), config.samples)
    log_z = 0.0 if target.log_z is None else target.log_z
    result = {
        **judgement.as_dict(),
        "restarts_measure": "free_energy" if target.log_z is None else "kl",
        "restarts": [
            float(value + log_z) if divergence is None and np.isfinite(value) else None
            for value, divergence in zip(free_energies, trained.divergences)
        ],
        "best_restart": best,
        **description(run, trained, seconds),
    }
    where = _not_finite(run, trained.model, trained.divergences)
    result["divergences"] = [lost and {**lost, "point": point} for lost, point in zip(result["divergences"], where)]
    run.write_result(result)
    return result


def _best(free_energies: Float[np.ndarray, " restarts"], divergences: Sequence[Divergence | None]) -> int:
    """The restart of lowest free energy among those that live; the first of these where none has a finite one."""
    living = np.array([lost is None for lost in divergences])
    ranked = np.where(np.isfinite(free_energies), free_energies, LAST)
    return int(np.argmin(np.where(living, ranked, np.inf)))


def _not_finite(run: FitRun, models: Pushforward, divergences: Sequence[Divergence | None]) -> list[str | None]:
    """Where the target is not finite among the draws of the step at which a restart diverged, for each restart."""
    keys = jax.random.split(purpose_key(run.config, 1), len(divergences))

    def point(index: int, step: int) -> str | None:
        key = jax.random.fold_in(keys[index], step)
        flow = refreshed(member(models, index), jax.random.fold_in(key, 1))
        x, _ = eqx.filter_jit(flow.sample_and_log_prob)(key, (run.config.batch_size,))
        return run.target.complaint(x)

    return [None if lost is None else point(index, lost.step) for index, lost in enumerate(divergences)]


def _free_energies(models: Pushforward, run: FitRun) -> Float[np.ndarray, " restarts"]:
    """The free energy of every restart, from draws of their own: those that judge the best one are others."""

    @eqx.filter_jit
    def free_energies(models: Pushforward) -> Float[Array, " restarts"]:
        def free_energy(flow: Pushforward) -> Float[Array, ""]:
            return -jnp.mean(log_weights(flow, run.target.log_densities, purpose_key(run.config, 2), SELECTION_SAMPLES))

        return eqx.filter_vmap(free_energy)(models)

    return np.asarray(free_energies(models), np.float64)
