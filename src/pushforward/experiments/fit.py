"""Fit a flow to a density, judge it, and write both down."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.distributions import Pushforward
from pushforward.evaluation import judge, log_weights
from pushforward.experiments.build import make_fit_ensemble, make_fit_loss
from pushforward.experiments.runs import FitRun
from pushforward.experiments.session import description, purpose_key, train
from pushforward.training import member

SELECTION_SAMPLES = 2**15


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
    trained, seconds = train(
        run, lambda: make_fit_ensemble(config, target.dim), make_fit_loss(config, target), quiet=quiet
    )

    free_energies = _free_energies(trained.model, run)
    best = int(np.nanargmin(np.where([d is None for d in trained.divergences], free_energies, np.inf)))
    judgement = judge(member(trained.model, best), target, purpose_key(config, 3), config.samples)
    log_z = judgement.log_z_estimate if target.log_z is None else target.log_z
    result = {
        **judgement.as_dict(),
        "restarts": [
            float(value + log_z) if divergence is None and np.isfinite(value) and log_z is not None else None
            for value, divergence in zip(free_energies, trained.divergences)
        ],
        "best_restart": best,
        **description(run, trained, seconds),
    }
    run.write_result(result)
    return result


def _free_energies(models: Pushforward, run: FitRun) -> Float[np.ndarray, " restarts"]:
    """The free energy of every restart, from draws of their own: those that judge the best one are others."""

    @eqx.filter_jit
    def free_energies(models: Pushforward) -> Float[Array, " restarts"]:
        def free_energy(flow: Pushforward) -> Float[Array, ""]:
            return -jnp.mean(log_weights(flow, run.target.log_densities, purpose_key(run.config, 2), SELECTION_SAMPLES))

        values: Float[Array, " restarts"] = eqx.filter_vmap(free_energy)(models)
        return values

    return np.asarray(free_energies(models), np.float64)
