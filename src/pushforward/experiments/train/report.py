"""The report of one flow trained on data."""

from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float

from pushforward.data import Dataset
from pushforward.distributions import Pushforward
from pushforward.drawing import data as pictures_of
from pushforward.drawing.flows import layers
from pushforward.drawing.images import image_grids
from pushforward.drawing.page import Drawings, render, write_pictures
from pushforward.drawing.panels import INTERVALS, MOST_PAIRED
from pushforward.drawing.style import Drawing
from pushforward.drawing.surfaces import draws
from pushforward.drawing.training import training_curve
from pushforward.experiments import states, words
from pushforward.experiments.config import values_of
from pushforward.experiments.train.run import TrainRun
from pushforward.experiments.train.words import restarts, results, verdict
from pushforward.types import PRNGKeyArray

DRAWS, IMAGES = 4096, 256
ROWS, SHOWN_IMAGES = 2000, 64
LAYERS = (
    "Samples of the base and where the layers move them, all in the units of the data. A point keeps the colour of its "
    "place in the base."
)


def write_report(run: TrainRun) -> Path:
    """Write `figures/*.png` and `report.html` into the folder of the run.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: the run is not finished, or its data have changed.
    """
    run.check_data()
    data, result, metrics = run.dataset, run.result, run.metrics
    pictures = write_pictures(run.folder / "figures", [*_drawings(run), loss_curve(run)])
    report = run.folder / "report.html"
    report.write_text(
        render(
            f"A flow trained on {data.name}",
            verdict=verdict(data, run.config, result, metrics),
            results=results(data, result),
            warnings=words.warnings(result),
            pictures=pictures,
            restarts=restarts(result),
            configuration=words.configuration(values_of(run.config)),
            command=result["command"],
            environment=words.environment(result),
        ),
        encoding="utf-8",
    )
    return report


def _drawings(run: TrainRun) -> Drawings:
    key_samples, key_layers = jax.random.split(jax.random.key(0))
    data, flow = run.dataset, run.flow
    drawn, log_q = (
        np.asarray(array, np.float64) for array in draws(flow, key_samples, DRAWS if data.levels is None else IMAGES)
    )
    law = states.beside_data(data, run.model, log_q, len(log_q))
    points = drawn[:ROWS]
    if data.levels is not None:
        shown = min(SHOWN_IMAGES, len(data.test))
        caption = f"{shown} test images and {SHOWN_IMAGES} samples of the flow, in the same {data.levels} levels."
        return [("samples", "Samples", caption, image_grids(data.test, points, data.levels)), law]
    match data.shape:
        case (1,):
            caption = "A histogram of the test rows, and the density of the flow."
            return [("density", "Density", caption, pictures_of.histogram(data, flow)), law]
        case (2,):
            return [
                ("densities", "Density", _density_caption(data), pictures_of.densities(data, flow)),
                ("samples", "Samples", _numbers(data, points), pictures_of.clouds(data, points)),
                ("layers", "Layer by layer", LAYERS, _layers(run, key_layers)),
                law,
            ]
        case _:
            which = "The columns" if data.shape[0] <= MOST_PAIRED else "The first four columns"
            caption = (
                f"{which} in pairs: samples of the flow below the diagonal (blue), test rows above it (orange), "
                f"histograms of both on it. {_numbers(data, points)}"
            )
            return [
                ("samples", "Samples", caption, pictures_of.column_pairs(data, points)),
                ("marginals", "Every column", INTERVALS, pictures_of.marginals(data, points)),
                law,
            ]


def _layers(run: TrainRun, key: PRNGKeyArray) -> Drawing | None:
    model = run.model
    return layers(model, key, pictures_of.labels(run.dataset)) if isinstance(model, Pushforward) else None


def _density_caption(data: Dataset) -> str:
    if data.log_density is None:
        return "The test rows as points, and the fitted density; 2% of the flow exceeds the end of the scale."
    return "Both densities on one colour scale; its end is the density that 2% of the true mass exceeds."


def _numbers(data: Dataset, points: Float[np.ndarray, "n D"]) -> str:
    return f"{len(points):,} samples of the flow, {min(len(points), len(data.test)):,} test rows."


def loss_curve(run: TrainRun) -> tuple[str, str, str, Drawing]:
    """The losses of training and validation, as an entry of a report."""
    metrics, result = run.metrics, run.result
    steps = np.array([record["step"] for record in metrics], int)
    training, validation = (np.array([record[name] for record in metrics], float) for name in ("loss", "validation"))
    caption = (
        "Negative log-likelihood: of training, its mean over the steps between two records; of the validation set, at "
        "each. Paler lines are other restarts. Very large first values may lie outside the axis."
    )
    curve = training_curve(steps, training, validation, result["best_restart"], result["best_step"])
    return "loss", "Training", caption, curve
