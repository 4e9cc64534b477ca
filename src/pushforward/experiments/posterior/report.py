"""The report of a posterior."""

from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from pushforward.drawing import panels
from pushforward.drawing.page import Table, render, write_pictures
from pushforward.drawing.surfaces import SAMPLES, quantile_box
from pushforward.experiments import words
from pushforward.experiments.config import values_of
from pushforward.experiments.posterior.run import PosteriorRun
from pushforward.experiments.posterior.words import rungs
from pushforward.experiments.summaries import COLUMNS, cells
from pushforward.inference import Posterior
from pushforward.inference.summary import columns

MOST_MARGINALS = 24
LADDER = ["rung", "ELBO", "log Z", "ESS", "k-hat", "seconds"]


def write_report(run: PosteriorRun) -> Path:
    """Write the figures and `report.html` into the folder of the run.

    Returns:
        The path of `report.html`.
    """
    result = run.result
    posterior = run.posterior()
    worst_first = sorted(result["summary"], key=_uncertainty, reverse=True)
    names = [row["name"] for row in worst_first]
    after, before = _clouds(posterior, names[:MOST_MARGINALS])
    box = quantile_box(after)
    shown = [name.replace("$", r"\$") for name in names]
    few = slice(panels.MOST_PAIRED)
    drawn = "of the chains" if result["refined"] else "resampled by their weights"
    pictures = write_pictures(
        run.folder / "figures",
        [
            (
                "marginals",
                "Parameters one by one",
                f"Draws {drawn} (blue) and draws of the flow as they are (orange), the number that is determined worst "
                "first" + (f"; the first {MOST_MARGINALS} of {len(names)}." if len(names) > MOST_MARGINALS else "."),
                panels.marginals(after, before, box, shown[:MOST_MARGINALS]),
            ),
            *(
                [
                    (
                        "pairs",
                        "Parameters in pairs",
                        f"The numbers that are determined worst, at most {panels.MOST_PAIRED}: draws {drawn} below the "
                        "diagonal (blue), draws of the flow as they are above it (orange).",
                        panels.pairs(after[:, few], before[:, few], box[few], shown[few]),
                    )
                ]
                if len(names) > 1
                else []
            ),
        ],
    )
    path = run.folder / "report.html"
    path.write_text(
        render(
            f"The posterior of {Path(run.config.target).name}",
            verdict=[f"{text[0].upper()}{text[1:]}." for text in (result["verdict"], result["description"])],
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


def _clouds(
    posterior: Posterior, names: list[str]
) -> tuple[Float[np.ndarray, "n shown"], Float[np.ndarray, "n shown"]]:
    """Draws of some numbers after and before weighting, as columns."""
    after = posterior.sample(jax.random.key(1), SAMPLES)
    before = posterior.sample(jax.random.key(2), SAMPLES, resample="none")
    both = posterior.on_a_line({name: np.concatenate([after[name], before[name]]) for name in after})
    numbers = columns(both)
    clouds = np.stack([numbers[name] for name in names], axis=-1)
    return clouds[:SAMPLES], clouds[SAMPLES:]
