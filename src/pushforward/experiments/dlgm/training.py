"""Train a deep latent Gaussian model, judge it on the test set, and write both down."""

from typing import Any

import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Shaped

from pushforward.evaluation.means import mean_and_std_error
from pushforward.experiments.dlgm.config import DlgmConfig
from pushforward.experiments.dlgm.models import make_ensemble
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.experiments.session import description, purpose_key, train
from pushforward.models import DLGM, HeldOutBound, NegativeBound
from pushforward.models.evaluation import posterior_statistics
from pushforward.training import adam, member, rmsprop

ACTIVE_VARIANCE = 0.01


def run_dlgm(run: DlgmRun, *, quiet: bool = False) -> dict[str, Any]:
    """Train from the newest checkpoint of `run`, or from the start; judge the model at its best step.

    The bound of the validation set chooses the step; the test set is looked at once, in the end.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: the data or settings cannot work, or a checkpoint cannot be read or written.
        Diverged: a number was not finite.
        Interrupted: a signal arrived; the checkpoint is written.
    """
    run.check_data()
    config, data, observation = run.config, run.dataset, run.observation
    loss = NegativeBound(
        flattened(data.train),
        observation,
        config.at_once,
        config.draws,
        config.objective,
        config.gradient,
        config.annealed,
        config.annealing_steps,
        config.free_bits,
    )
    trained, seconds = train(
        run,
        lambda: make_ensemble(config, data.shape, data.levels),
        loss,
        _optimizer(config),
        quiet=quiet,
        record_every=min(config.validate_every, config.steps),
        validate=HeldOutBound(flattened(data.validation), observation),
        patience=config.patience or None,
        average_decay=config.average_decay or None,
    )
    if trained.best_losses is None or trained.best_steps is None:
        raise TypeError("training without validation has no best step")
    validation = float(trained.best_losses[0])
    result = {
        "binarisation": config.binarisation,
        **_judge(member(trained.model, 0), run),
        "validation_free_energy": validation if np.isfinite(validation) else None,
        "best_restart": 0,
        "best_step": int(trained.best_steps[0]),
        "steps": trained.steps,
        "warnings": list(data.warnings),
        **description(run, trained, seconds),
    }
    run.write_result(result)
    return result


def _optimizer(config: DlgmConfig) -> optax.GradientTransformation:
    common: dict[str, Any] = {"schedule": config.schedule, "gradient_clip": config.gradient_clip, "flat": False}
    if config.optimizer == "rmsprop":
        return rmsprop(config.learning_rate, config.steps, **common)
    return adam(config.learning_rate, config.steps, weight_decay=config.weight_decay, **common)


def flattened(images: Shaped[np.ndarray, "n *event"]) -> Shaped[jnp.ndarray, "n D"]:
    """Images as rows, on the device."""
    return jnp.asarray(images.reshape(len(images), -1))


def _judge(model: DLGM, run: DlgmRun) -> dict[str, Any]:
    """The free energy of the test set and its parts, in nats with standard errors, and the active units."""
    statistics = posterior_statistics(
        model, run.test_observations, purpose_key(run.config, 3), draws=run.config.test_draws
    )
    run.write_points("free-energy", free_energy=statistics.free_energy)
    variances = np.var(statistics.posterior_mean, axis=0)
    result: dict[str, Any] = {}
    for name in ("free_energy", "reconstruction", "divergence_from_prior"):
        values = np.asarray(getattr(statistics, name), np.float64)
        result[name], result[f"{name}_std_error"] = mean_and_std_error(values)
    return {
        **result,
        "active_units": int(np.sum(variances > ACTIVE_VARIANCE)),
        "latents": model.latents,
        "test_draws": run.config.test_draws,
        "test_images": len(run.dataset.test),
    }
