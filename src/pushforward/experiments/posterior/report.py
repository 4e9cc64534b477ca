"""The report of a posterior."""

from pathlib import Path
from typing import Any

import jax
import numpy as np

from pushforward.drawing import panels
from pushforward.drawing.page import Table, render, write_pictures
from pushforward.drawing.style import Drawing
from pushforward.drawing.surfaces import SAMPLES, quantile_box
from pushforward.experiments import words
from pushforward.experiments.config import values_of
from pushforward.experiments.posterior.run import PosteriorRun
from pushforward.experiments.posterior.words import COLUMNS, cells, rungs
from pushforward.inference import Posterior
from pushforward.inference.summary import columns

LADDER = ["rung", "ELBO", "log Z", "ESS", "k-hat", "seconds"]


def write_report(run: PosteriorRun) -> Path:
    """Write the figures and `report.html` into the folder of the run.

    Returns:
        The path of `report.html`.
    """
    result = run.result
    posterior = run.posterior()
    pictures = write_pictures(
        run.folder / "figures",
        [
            (
                "pairs",
                "Parameters in pairs",
                "The numbers that are determined worst, at most four: draws "
                + ("of the chains" if result["refined"] else "resampled by their weights")
                + " below the diagonal (blue), draws of the flow as they are above it (orange).",
                _pairs(posterior),
            )
        ],
    )
    worst_first = sorted(result["summary"], key=_uncertainty, reverse=True)
    path = run.folder / "report.html"
    path.write_text(
        render(
            f"The posterior of {run.target.name}",
            verdict=[result["verdict"] + ".", result["description"] + "."],
            results=Table(list(COLUMNS), [cells(row) for row in worst_first], text_columns=1),
            warnings=[] if result["trusted"] else [result["verdict"]],
            pictures=pictures,
            restarts=Table(LADDER, rungs(result["ladder"]), text_columns=1),
            restarts_heading="Ladder",
            configuration=words.configuration(values_of(run.config)),
            command=result["command"],
            environment=words.environment(result),
        ),
        encoding="utf-8",
    )
    return path


def _uncertainty(row: dict[str, Any]) -> float:
    return row["mean_error"] / row["sd"] if row["sd"] and row["mean_error"] else 0.0


def _pairs(posterior: Posterior) -> Drawing:
    """The numbers that are determined worst, as columns."""
    after = posterior.sample(jax.random.key(1), SAMPLES)
    before = posterior.sample(jax.random.key(2), SAMPLES, resample="none")
    worst = sorted(posterior.summary().rows, key=lambda row: row.uncertainty, reverse=True)[: panels.MOST_PAIRED]
    names = [row.name for row in posterior.summary().rows if row in worst]
    after_numbers, before_numbers = (
        np.stack([columns(draws)[name] for name in names], axis=-1) for draws in (after, before)
    )
    shown = [name.replace("$", r"\$") for name in names]
    return panels.pairs(after_numbers, before_numbers, quantile_box(after_numbers), shown)
