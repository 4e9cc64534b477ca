"""Train a flow on data by maximum likelihood, judge it on the test set, and write both down."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, Shaped

from pushforward.dequantize import Dequantized, bits_per_dimension
from pushforward.distributions import Pushforward
from pushforward.experiments.build import calibrated, make_train_ensemble
from pushforward.experiments.runs import TrainRun
from pushforward.experiments.session import description, mean_and_std_error, purpose_key, train
from pushforward.objectives import ForwardKL, HeldOut
from pushforward.training import member


def run_train(run: TrainRun, *, quiet: bool = False) -> dict[str, Any]:
    """Train from the newest checkpoint of `run`, or from the start; judge the best restart at its best step.

    The validation set chooses the step and the restart; the test set is looked at once, in the end.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: the data or settings cannot work, or a checkpoint cannot be read or written.
        Diverged: every restart met a number that is not finite.
        Interrupted: a signal arrived; the checkpoint is written.
    """
    run.check_data()
    config, data = run.config, run.dataset

    def make_models() -> Pushforward | Dequantized:
        models = make_train_ensemble(config, data.shape, data.levels, data.logged)
        return calibrated(models, data, purpose_key(config, 2))

    trained, seconds = train(
        run,
        make_models,
        ForwardKL(on_device(data.train), config.batch_size),
        quiet=quiet,
        record_every=min(config.validate_every, config.steps),
        validate=HeldOut(on_device(data.validation)),
        patience=config.patience or None,
    )

    if trained.best_losses is None or trained.best_steps is None:
        raise TypeError("training without validation has no best step")
    best = int(np.argmin(trained.best_losses))
    result = {
        **_judge(member(trained.model, best), run, purpose_key(config, 3)),
        "restarts": [float(-loss) if math.isfinite(loss) else None for loss in trained.best_losses],
        "best_restart": best,
        "best_step": int(trained.best_steps[best]),
        "steps": trained.steps,
        "warnings": list(data.warnings),
        **description(run, trained, seconds),
    }
    run.write_result(result)
    return result


def _judge(model: Pushforward | Dequantized, run: TrainRun, key: PRNGKeyArray) -> dict[str, Any]:
    """Log-likelihoods in nats with their standard errors, in bits per dimension too for discrete images."""
    data = run.dataset
    each = eqx.filter_jit(lambda held_out, model: held_out.each(model, key))
    result: dict[str, Any] = {}
    for name, rows in (("test", data.test), ("validation", data.validation), ("train", data.train[: len(data.test)])):
        values = np.asarray(each(HeldOut(on_device(rows)), model), np.float64)
        mean, std_error = mean_and_std_error(values)
        result[f"{name}_log_likelihood"], result[f"{name}_log_likelihood_std_error"] = mean, std_error
        if name == "test" and data.levels is not None and mean is not None and std_error is not None:
            result["test_bits_per_dimension"] = bits_per_dimension(mean, data.shape)
            result["test_bits_per_dimension_std_error"] = -bits_per_dimension(std_error, data.shape)
        if name == "test" and data.log_density is not None:
            truth = np.asarray(_log_densities(run, rows), np.float64)
            result["true_log_likelihood"], _ = mean_and_std_error(truth)
            result["kl_to_truth"], result["kl_to_truth_std_error"] = mean_and_std_error(truth - values)
    return result


def _log_densities(run: TrainRun, rows: Float[np.ndarray, "n D"]) -> Float[Array, " n"]:
    log_density = run.dataset.log_density
    if log_density is None:
        raise ValueError(f"the density of {run.dataset.name} is not known")
    values: Float[Array, " n"] = jax.jit(jax.vmap(log_density))(on_device(rows))
    return values


def on_device(rows: Shaped[np.ndarray, "n *event"]) -> Shaped[Array, "n *event"]:
    """Rows in the precision of this process; grey levels as they are."""
    return jnp.asarray(rows, float if np.issubdtype(rows.dtype, np.floating) else None)
