"""The report of one fit of a flow to a target."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array

from pushforward.distributions import Pushforward
from pushforward.drawing import flows, training
from pushforward.drawing.animation import density_animation
from pushforward.drawing.page import Drawings, Picture, render, write_pictures
from pushforward.drawing.panels import INTERVALS, MOST_PAIRED
from pushforward.drawing.style import DARK, LIGHT
from pushforward.drawing.text import MINUS
from pushforward.errors import UserError
from pushforward.experiments import states, words
from pushforward.experiments.config import values_of
from pushforward.experiments.fit.words import MEASURES, restarts, results, verdict
from pushforward.targets import Target


@runtime_checkable
class FitRun(Protocol):
    """A finished fit.

    Attributes:
        folder: where the run is; the report is written into it.
        config: a dataclass.
        result: the fields of a `Judgement`, and `restarts` (the KL of each), `best_restart`, `divergences` (of each:
            None, or `step` and `leaf`), `seconds`, `steps_per_second`, `environment`, `command`; None where there is
            no number.
        metrics: records of training, each `step`, `loss` (one a restart, None once it has diverged) and `seconds`.
        target: what was fitted.
        model: the best restart.
        snapshots: the best restart at several steps, ascending.
    """

    @property
    def folder(self) -> Path: ...

    @property
    def config(self) -> Any: ...

    @property
    def result(self) -> Mapping[str, Any]: ...

    @property
    def metrics(self) -> Sequence[Mapping[str, Any]]: ...

    @property
    def target(self) -> Target: ...

    @property
    def model(self) -> Pushforward: ...

    @property
    def snapshots(self) -> Sequence[tuple[int, Pushforward]]: ...


def write_report(run: FitRun) -> Path:
    """Write `figures/*.png`, `figures/training.gif` and `report.html` into the folder of the run.

    Where the target is a function that cannot be had here, the report says so, and has the pictures of the flow alone.

    Returns:
        The path of `report.html`.
    """
    folder, warnings = run.folder / "figures", words.warnings(run.result)
    try:
        target, evaluable = run.target, True
    except UserError as error:
        target, evaluable = _named_only(run), False
        warnings = [*warnings, f"no picture of the target: {error}"]
    pictures = write_pictures(folder, _drawings(run, target) if evaluable else _drawings_of_the_flow(run, target))
    if evaluable and target.dim == 2 and len(run.snapshots) > 1:
        light, dark = density_animation(target, list(run.snapshots), LIGHT, DARK)
        (folder / "training.gif").write_bytes(light)
        caption = "The fitted density of the best restart while it was trained, on the colour scale of the densities."
        pictures.append(Picture("Training", caption, light, dark, pixel_ratio=1))
    report = run.folder / "report.html"
    report.write_text(
        render(
            f"A flow fitted to {target.name}",
            verdict=verdict(target, run.result),
            results=results(target, run.result),
            warnings=warnings,
            pictures=pictures,
            restarts=restarts(run.result),
            configuration=words.configuration(values_of(run.config)),
            command=run.result["command"],
            environment=words.environment(run.result),
        ),
        encoding="utf-8",
    )
    return report


def _named_only(run: FitRun) -> Target:
    """What a run knows of its target without the function itself."""

    def unavailable(_: Array) -> Array:
        raise UserError(f"{run.config.target} is not at hand")

    return Target(run.config.target, run.model.shape[0], unavailable, run.result["log_z"])


def _drawings(run: FitRun, target: Target) -> Drawings:
    key_samples, key_states = jax.random.split(jax.random.key(0))
    return [
        (
            "densities",
            "Target and fit",
            "Both densities on one colour scale; its end is the density that 2% of the target's mass exceeds.",
            flows.densities(target, run.model),
        ),
        ("samples", "Samples", _samples_caption(target), flows.samples(target, run.model, key_samples)),
        ("marginals", "Every dimension", INTERVALS, flows.marginals(target, run.model, key_samples)),
        *_drawings_of_the_flow(run, target),
        states.beside_target(target, run.model, key_states),
    ]


def _drawings_of_the_flow(run: FitRun, target: Target) -> Drawings:
    losses = np.array([record["loss"] for record in run.metrics], float)
    steps = np.array([record["step"] for record in run.metrics], int)
    annealed = run.result.get("restarts_measure") == "cross_entropy"
    log_z = None if annealed else target.log_z
    name = MEASURES["cross_entropy"] if annealed else "free energy"
    return [
        (
            "loss",
            f"{name[0].upper()}{name[1:]}",
            "Mean over the steps between two records, for every restart"
            + ("" if log_z is None else f"; {MINUS}log Z is its lower bound, reached by a perfect fit")
            + ". Very large first values may lie outside the axis.",
            training.loss_curve(steps, losses, run.result["best_restart"], log_z, name) if len(steps) else None,
        ),
        (
            "layers",
            "Layer by layer",
            "Samples of the base and where the layers move them. A point keeps the colour of its place in the base.",
            flows.layers(run.model, jax.random.key(1)),
        ),
    ]


def _samples_caption(target: Target) -> str:
    if target.dim == 1:
        return "A histogram of samples of the flow, and the density of the target."
    if target.dim == 2:
        return "Samples of the flow. The shades hold 50%, 90% and 99% of the target, where it is densest."
    which = "The first four dimensions in pairs" if target.dim > MOST_PAIRED else "The dimensions in pairs"
    if target.sample is None:
        return f"{which}: samples of the flow."
    return f"{which}: samples of the flow below the diagonal (blue), exact samples of the target above it (orange)."
