"""Train a flow on data by maximum likelihood, judge it on the test set, and write both down."""

import math
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Float32, Shaped

from pushforward.data import Dataset
from pushforward.dequantize import Dequantized, bits_per_dimension
from pushforward.distributions import Pushforward
from pushforward.evaluation.gaussian import gaussian_log_likelihoods
from pushforward.evaluation.means import mean_and_std_error
from pushforward.experiments.session import description, purpose_key, train
from pushforward.experiments.train.config import TrainConfig, chosen
from pushforward.experiments.train.models import calibrated, gaussian_units, make_ensemble
from pushforward.experiments.train.run import TrainRun
from pushforward.objectives import ForwardKL, HeldOut, Windowed
from pushforward.training import Fit, adam, member
from pushforward.types import PRNGKeyArray

WORTH_NOTHING = 1e-3
BATCHES = 8
"""That a window of rows on disk holds, at least."""


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
        models = make_ensemble(config, data.shape, data.levels, data.logged)
        return calibrated(models, data, purpose_key(config, 2))

    loss = training_loss(config, data, smoothing(config, data))
    trained, best, told = train_to_the_best(run, make_models, loss, HeldOut(on_device(data.validation)), quiet=quiet)
    judged = _judge(member(trained.model, best), run, purpose_key(config, 3))
    result = {**judged, **told, "warnings": [*data.warnings, *judged.get("warnings", [])]}
    run.write_result(result)
    return result


def train_to_the_best(
    run: TrainRun, make_models: Callable[[], Any], loss: ForwardKL | Windowed, held_out: HeldOut, *, quiet: bool
) -> tuple[Fit[Any], int, dict[str, Any]]:
    """The trained ensemble, which restart is best by validation, and what `result.json` says of it.

    Args:
        run: with the settings.
        make_models: makes the ensemble.
        loss: of the training rows.
        held_out: the loss of the validation rows.
        quiet: no progress bar.
    """
    config = run.config
    trained, seconds = train(
        run,
        make_models,
        loss,
        optimizer(config),
        quiet=quiet,
        record_every=min(chosen("validate_every", config.validate_every), config.steps),
        validate=held_out,
        patience=config.patience or None,
        average_decay=config.average_decay or None,
    )
    if trained.best_losses is None or trained.best_steps is None:
        raise TypeError("training without validation has no best step")
    best = int(np.argmin(trained.best_losses))
    told = {
        "restarts": [float(-loss) if math.isfinite(loss) else None for loss in trained.best_losses],
        "best_restart": best,
        "best_step": int(trained.best_steps[best]),
        "steps": trained.steps,
        **description(run, trained, seconds),
    }
    return trained, best, told


def training_loss(
    config: TrainConfig, data: Dataset, noise: Float[Array, "D D"] | None, *, contexts: bool = False
) -> ForwardKL | Windowed:
    """The loss of the training rows, of one window of them after another where they stay on disk.

    Args:
        config: the settings.
        data: the rows.
        noise: see `smoothing`.
        contexts: whether the density is that of the rows given their contexts.
    """

    def loss(rows: Shaped[np.ndarray, "n *event"], given: Float32[np.ndarray, "n columns"] | None) -> ForwardKL:
        beside = on_device(given) if contexts and given is not None else None
        return ForwardKL(on_device(rows), config.at_once, noise, beside)

    if data.windows is None:
        return loss(data.train, None if data.given is None else data.given.train)
    windows = data.windows.of_rows(BATCHES * config.batch_size)
    return Windowed(lambda number: loss(*windows(number)), max(1, windows.size // config.batch_size))


def optimizer(config: TrainConfig) -> optax.GradientTransformation:
    """Adam with the schedule of the settings."""
    rate = chosen("learning_rate", config.learning_rate)
    return adam(rate, config.steps, schedule=config.schedule, gradient_clip=config.gradient_clip)


def smoothing(config: TrainConfig, data: Dataset) -> Float[Array, "D D"] | None:
    """The matrix by which noise is added to the rows: `--smoothing` times the units that the flow starts in."""
    if not config.smoothing:
        return None
    _, scale, factor = gaussian_units(
        data, whitened=config.start == "whitened", robust=chosen("base", config.base) == "student-t"
    )
    return jnp.asarray(config.smoothing * scale[:, None] * factor, float)


def _judge(model: Pushforward | Dequantized, run: TrainRun, key: PRNGKeyArray) -> dict[str, Any]:
    """Log-likelihoods in nats with their standard errors, in bits per dimension too for discrete images."""
    data = run.dataset
    each = eqx.filter_jit(lambda held_out, model: held_out.each(model, key))
    result: dict[str, Any] = {}
    for name, rows in (("test", data.test), ("validation", data.validation), ("train", data.train[: len(data.test)])):
        values = np.asarray(each(HeldOut(on_device(rows)), model), np.float64)
        mean, std_error = mean_and_std_error(values)
        result[f"{name}_log_likelihood"], result[f"{name}_log_likelihood_std_error"] = mean, std_error
        if name == "test":
            result |= _gaussian(data, values)
        if name == "test" and data.levels is not None and mean is not None and std_error is not None:
            result["test_bits_per_dimension"] = bits_per_dimension(mean, data.shape)
            result["test_bits_per_dimension_std_error"] = -bits_per_dimension(std_error, data.shape)
        if name == "test" and data.log_density is not None:
            truth = np.asarray(_log_densities(run, rows), np.float64)
            result["true_log_likelihood"], _ = mean_and_std_error(truth)
            result["kl_to_truth"], result["kl_to_truth_std_error"] = mean_and_std_error(truth - values)
    return result


def _gaussian(data: Dataset, values: Float[np.ndarray, " n"]) -> dict[str, Any]:
    """The test log-likelihood of the Gaussian of the training rows, and by how much that of the flow is higher."""
    gaussian = _gaussian_log_likelihoods(data)
    if gaussian is None:
        return {}
    result: dict[str, Any] = {"warnings": _no_better(values - gaussian)}
    for name, each in (("gaussian_log_likelihood", gaussian), ("gain_over_gaussian", values - gaussian)):
        result[name], result[f"{name}_std_error"] = mean_and_std_error(each)
    return result


def _gaussian_log_likelihoods(data: Dataset) -> Float[np.ndarray, " n"] | None:
    """Of a table in the units that the flow learns; of images a lower bound, with uniform noise."""
    if data.levels is None:
        train, test = data.learned(data.train), data.learned(data.test)
        log_det = np.where(data.logged, test, 0.0).sum(axis=1) if any(data.logged) else 0.0
        of_rows = gaussian_log_likelihoods(train, test)
        return None if of_rows is None else of_rows - log_det
    rng = np.random.default_rng(0)
    # In units of a grey level the density of the noise is 1.
    train, test = ((images + rng.random(images.shape)).reshape(len(images), -1) for images in (data.train, data.test))
    return gaussian_log_likelihoods(train, test)


def _no_better(gains: Float[np.ndarray, " n"]) -> list[str]:
    """A warning where a flow is not measurably better than the Gaussian.

    It is better where its mean gain over test rows is more than a thousandth of a nat, and two standard errors above 0
    or with gains on so many rows that chance has 2%: a few far ones, to which the Gaussian gives next to nothing, can
    widen the standard error at will.
    """
    gain, error = mean_and_std_error(gains)
    if gain is None or error is None or gain > max(2 * error, WORTH_NOTHING):
        return []
    excess = np.sum(gains > 0) - len(gains) / 2
    if gain > WORTH_NOTHING and excess > math.sqrt(len(gains)):
        return []
    return [
        "the flow is no better than a Gaussian with the mean and covariance of the training rows: on test rows its "
        f"log-likelihood is {gain:+.3f} ± {error:.3f} nats higher"
    ]


def _log_densities(run: TrainRun, rows: Float[np.ndarray, "n D"]) -> Float[Array, " n"]:
    log_density = run.dataset.log_density
    if log_density is None:
        raise ValueError(f"the density of {run.dataset.name} is not known")
    return jax.jit(jax.vmap(log_density))(on_device(rows))


def on_device(rows: Shaped[np.ndarray, "n *event"]) -> Shaped[Array, "n *event"]:
    """Rows in the precision of this process; grey levels as they are."""
    return jnp.asarray(rows, float if np.issubdtype(rows.dtype, np.floating) else None)
