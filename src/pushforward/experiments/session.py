"""A session of training: from the newest checkpoint on, with records and a progress bar."""

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import jax
import optax

from pushforward.experiments.config import TrainingConfig
from pushforward.experiments.runs import Run, environment
from pushforward.objectives import Remembering, Windowed
from pushforward.objectives.base import Loss
from pushforward.progress import training_progress
from pushforward.training import Fit, fit
from pushforward.types import PRNGKeyArray


def purpose_key(config: TrainingConfig, purpose: int) -> PRNGKeyArray:
    """The key for one purpose of an experiment."""
    return jax.random.fold_in(jax.random.key(config.seed), purpose)


def train(
    run: Run,
    make_models: Callable[[], Any],
    loss: Loss | Remembering | Windowed,
    optimizer: optax.GradientTransformation,
    *,
    quiet: bool,
    **options: Any,
) -> tuple[Fit[Any], float]:
    """Train an ensemble from the newest checkpoint of `run`, or from the start, recording into the run.

    Args:
        run: where checkpoints and records go.
        make_models: makes the ensemble; its time counts.
        loss: see `training.fit`.
        optimizer: see `training.fit`.
        quiet: no progress bar.
        options: how often to record, the validation, and what else `training.fit` takes.

    Returns:
        The fit, and the seconds of training over every session of the run.
    """
    config, checkpoints = run.config, run.checkpoints
    run.drop_records_after(max(checkpoints.steps(), default=0))
    before = run.metrics[-1]["seconds"] if run.metrics else 0.0
    start = time.perf_counter()
    with training_progress(config.title, config.steps, quiet) as on_progress:
        trained = fit(
            make_models(),
            loss,
            key=purpose_key(config, 1),
            steps=config.steps,
            optimizer=optimizer,
            devices=run.devices,
            accumulate=config.accumulate,
            checkpoints=checkpoints,
            on_record=lambda record: run.append_record(replace(record, seconds=before + record.seconds)),
            on_progress=on_progress,
            **options,
        )
    return trained, before + time.perf_counter() - start


def description(run: Run, trained: Fit[Any], seconds: float) -> dict[str, Any]:
    """What every `result.json` says of the training."""
    return {
        "divergences": [divergence and asdict(divergence) for divergence in trained.divergences],
        "seconds": seconds,
        "steps_per_second": trained.steps_per_second,
        "command": run.config.command(),
        "environment": environment(),
    }
