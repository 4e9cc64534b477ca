"""Train a conditional flow on data by maximum likelihood, and judge it on the test set."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from pushforward.contexts import Standardised
from pushforward.data import Dataset
from pushforward.data.base import Given
from pushforward.distributions import Pushforward
from pushforward.evaluation import Calibration, calibration
from pushforward.evaluation.calibration import LEAST_CASES
from pushforward.evaluation.gaussian import gaussian_log_likelihoods
from pushforward.evaluation.means import mean_and_std_error
from pushforward.experiments.conditional.models import calibrated, make_ensemble
from pushforward.experiments.conditional.run import ConditionalRun
from pushforward.experiments.session import purpose_key
from pushforward.experiments.train import models as unconditional
from pushforward.experiments.train.config import ConditionalConfig, chosen
from pushforward.experiments.train.residuals import regression, residuals
from pushforward.experiments.train.training import (
    on_device,
    optimizer,
    smoothing,
    train_to_the_best,
    training_loss,
)
from pushforward.objectives import HeldOut
from pushforward.training import Diverged, fit, member
from pushforward.types import PRNGKeyArray

CASES, DRAWS = 1000, 200


def run_conditional(run: ConditionalRun, *, quiet: bool = False) -> dict[str, Any]:
    """Train from the newest checkpoint of `run`, or from the start; judge the best restart at its best step.

    What the contexts are worth is said by two models of the same rows: the flow without contexts, trained with the same
    settings, and the linear regression on the contexts with Gaussian residuals.

    Returns:
        The content of `result.json`.

    Raises:
        UserError: the data or settings cannot work, or a checkpoint cannot be read or written.
        Diverged: every restart met a number that is not finite.
        Interrupted: a signal arrived; the checkpoint is written.
    """
    run.check_data()
    config, data = run.config, run.dataset
    given = data.given
    if given is None:
        raise TypeError(f"{data.name} has no contexts")

    (dim,), left = data.shape, residuals(data)

    def make_models() -> Standardised:
        models = make_ensemble(config, dim, given.columns, given.categories, data.logged)
        return calibrated(models, config, regression(data, given), left)

    loss = training_loss(config, data, smoothing(config, left), contexts=True)
    held_out = HeldOut(on_device(data.validation), contexts=on_device(given.validation))
    trained, best, told = train_to_the_best(run, make_models, loss, held_out, quiet=quiet)
    model = member(trained.model, best)
    result: dict[str, Any] = {"warnings": list(data.warnings)}
    shown = len(data.test)
    parts = {
        "test": (data.test, given.test),
        "validation": (data.validation, given.validation),
        "train": (data.train[:shown], given.train[:shown]),
    }
    values = {name: _log_likelihoods(model, *part) for name, part in parts.items()}
    for name, each in values.items():
        result[f"{name}_log_likelihood"], result[f"{name}_log_likelihood_std_error"] = mean_and_std_error(each)
    beside = {"regression": _regression(data, left), "unconditional": _unconditional(config, data)}
    for name, others in beside.items():
        if others is not None:
            for measure, each in ((f"{name}_log_likelihood", others), (f"gain_over_{name}", values["test"] - others)):
                result[measure], result[f"{measure}_std_error"] = mean_and_std_error(each)
    result["warnings"] += _worth_nothing(result)
    found, lost = _calibration(model, data, given, purpose_key(config, 4))
    if lost:
        result["warnings"].append(f"draws given the contexts of {lost} test rows are not finite")
    if found is not None:
        run.keep_calibration(found)
        result |= {"calibration": found.verdict, "calibrated": not found.rejected}
        result["warnings"] += [found.verdict] if found.rejected else []
    result |= told
    run.write_result(result)
    return result


def _log_likelihoods(
    model: Any, rows: Float[np.ndarray, "n D"], contexts: Float[np.ndarray, "n columns"] | None = None
) -> Float[np.ndarray, " n"]:
    held_out = HeldOut(on_device(rows), contexts=None if contexts is None else on_device(contexts))
    each = eqx.filter_jit(lambda held_out, model: held_out.each(model, jax.random.key(0)))
    return np.asarray(each(held_out, model), np.float64)


def _regression(data: Dataset, left: Dataset) -> Float[np.ndarray, " n"] | None:
    """Test log-likelihoods of the linear regression with Gaussian residuals, in the units of the rows."""
    of_residuals = gaussian_log_likelihoods(left.train, left.test)
    logs = np.where(data.logged, data.learned(data.test), 0.0).sum(axis=1) if any(data.logged) else 0.0
    return None if of_residuals is None else of_residuals - logs


def _unconditional(config: ConditionalConfig, data: Dataset) -> Float[np.ndarray, " n"] | None:
    """Test log-likelihoods of the flow without contexts, trained with the same settings; None if it diverged."""
    models = unconditional.make_ensemble(config, data.shape, None, data.logged)
    try:
        trained = fit(
            unconditional.calibrated(models, data, purpose_key(config, 2)),
            training_loss(config, data, smoothing(config, data)),
            key=purpose_key(config, 1),
            steps=config.steps,
            optimizer=optimizer(config),
            record_every=min(chosen("validate_every", config.validate_every), config.steps),
            validate=HeldOut(on_device(data.validation)),
            patience=config.patience or None,
            average_decay=config.average_decay or None,
            accumulate=config.accumulate,
            progress=False,
        )
    except Diverged:
        return None
    best = int(np.argmin(trained.best_losses)) if trained.best_losses is not None else 0
    return _log_likelihoods(member(trained.model, best), data.test)


def _worth_nothing(result: dict[str, Any]) -> list[str]:
    """Warnings where the contexts, or the flow, buy nothing."""
    found = []
    for name, what in (
        ("unconditional", "the contexts buy nothing: the flow without them is as good"),
        ("regression", "the flow is no better than a linear regression with Gaussian residuals"),
    ):
        gain, error = result.get(f"gain_over_{name}"), result.get(f"gain_over_{name}_std_error")
        if gain is not None and error is not None and gain <= 2 * error:
            found.append(f"{what}: on test rows the log-likelihood is {gain:+.3f} ± {error:.3f} nats higher")
    return found


def _calibration(model: Standardised, data: Dataset, given: Given, key: PRNGKeyArray) -> tuple[Calibration | None, int]:
    """Of test rows among draws given their contexts, unless they are too few, and for how many these are not finite."""
    rows, contexts = on_device(data.test[:CASES]), on_device(given.test[:CASES])

    @eqx.filter_jit
    def drawn(model: Standardised) -> tuple[Array, Array, Array]:
        def case(each: tuple[Array, Array, PRNGKeyArray]) -> tuple[Array, Array, Array]:
            context, row, key = each
            flow: Pushforward = model(context)
            return *flow.sample_and_log_prob(key, (DRAWS,)), flow.log_prob(row)

        return jax.lax.map(case, (contexts, rows, jax.random.split(key, len(rows))))

    draws, log_q, log_q_of_rows = (np.asarray(array, np.float64) for array in drawn(model))
    finite = np.isfinite(draws).all(axis=(1, 2))
    lost = int(np.sum(~finite))
    if len(rows) - lost < LEAST_CASES:
        return None, lost
    found = calibration(
        draws[finite],
        np.asarray(rows, np.float64)[finite],
        names=data.columns,
        log_q=log_q[finite],
        log_q_of_truths=log_q_of_rows[finite],
    )
    return found, lost
