"""The report of a conditional flow."""

from pathlib import Path

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float

from pushforward.contexts import Standardised
from pushforward.drawing import calibration
from pushforward.drawing import data as pictures_of
from pushforward.drawing.page import Drawings, render, write_pictures
from pushforward.drawing.panels import MOST_PAIRED
from pushforward.experiments import words
from pushforward.experiments.conditional.run import ConditionalRun
from pushforward.experiments.conditional.words import results, verdict
from pushforward.experiments.config import values_of
from pushforward.experiments.train.report import loss_curve
from pushforward.experiments.train.training import on_device
from pushforward.experiments.train.words import restarts

ROWS = 2000


def write_report(run: ConditionalRun) -> Path:
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
            f"{', '.join(run.columns[:3])}{' …' if len(run.columns) > 3 else ''} given {', '.join(run.contexts)}",
            verdict=verdict(data, run.config, result, metrics),
            results=results(data, run.contexts, result),
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


def _drawings(run: ConditionalRun) -> Drawings:
    data = run.dataset
    points = _beside(run)
    caption = "A draw of the flow for the contexts of each test row, and the test rows: they should look alike."
    match data.shape:
        case (1,):
            samples = pictures_of.histograms(data, points)
        case (2,):
            samples = pictures_of.clouds(data, points)
        case _:
            which = "The columns" if data.shape[0] <= MOST_PAIRED else "The first four columns"
            caption = f"{which} in pairs: draws below the diagonal (blue), test rows above it (orange). {caption}"
            samples = pictures_of.column_pairs(data, points)
    drawings: Drawings = [("samples", "Draws beside test rows", caption, samples)]
    if "calibration" in run.result:
        found = run.calibration
        drawings += [
            (
                "ranks",
                "Ranks",
                f"The rank of each of {len(found.ranks):,} test rows among draws given its contexts: uniform where the "
                "flow is right, in the middle where it is too wide, at both ends where it is too narrow. The band "
                "holds 99% of the bars of uniform ranks.",
                calibration.ranks(found),
            ),
            (
                "coverage",
                "What intervals hold",
                "The share of the test rows in central intervals of a column, and in regions of highest density, "
                "against what these promise; below the diagonal they are too narrow. The band is that of 99%.",
                calibration.coverages(found),
            ),
        ]
    return drawings


def _beside(run: ConditionalRun) -> Float[np.ndarray, "n D"]:
    """A draw for the contexts of each of the first test rows."""
    given = run.dataset.given
    if given is None:
        raise TypeError(f"{run.folder} has no contexts")
    contexts = on_device(given.test[:ROWS])
    keys = jax.random.split(jax.random.key(0), len(contexts))

    @eqx.filter_jit
    def drawn(model: Standardised) -> Array:
        return jax.vmap(lambda context, key: model(context).sample(key))(contexts, keys)

    return np.asarray(drawn(run.model), np.float64)
