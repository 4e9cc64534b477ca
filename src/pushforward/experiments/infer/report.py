"""The report of an inference from simulations."""

from pathlib import Path

import jax
import numpy as np

from pushforward.drawing import calibration, panels
from pushforward.drawing.page import Drawings, render, write_pictures
from pushforward.drawing.predictive import predictions
from pushforward.drawing.surfaces import SAMPLES, quantile_box
from pushforward.drawing.training import training_curve
from pushforward.experiments import words
from pushforward.experiments.config import values_of
from pushforward.experiments.infer.run import InferRun
from pushforward.experiments.infer.words import results, verdict
from pushforward.inference.simulation.simulators import from_prior
from pushforward.inference.summary import columns

MOST_MARGINALS = 24


def write_report(run: InferRun) -> Path:
    """Write the figures and `report.html` into the folder of the run.

    Returns:
        The path of `report.html`.
    """
    result = run.result
    pictures = write_pictures(run.folder / "figures", [*_posterior(run), *_checks(run), _curve(run)])
    path = run.folder / "report.html"
    path.write_text(
        render(
            f"Parameters of {Path(run.config.simulator).name}",
            verdict=verdict(run.config, result),
            results=results(result),
            warnings=result["warnings"],
            pictures=pictures,
            configuration=words.configuration(values_of(run.config)),
            command=result["command"],
            environment=words.environment(result),
        ),
        encoding="utf-8",
    )
    return path


def _posterior(run: InferRun) -> Drawings:
    if run.observation is None:
        return []
    named = columns({name: values[:SAMPLES] for name, values in run.draws.items()})
    after = np.stack(list(named.values()), axis=-1)
    drawn = from_prior(run.prior)(jax.random.key(0), SAMPLES)
    values = run.prior.constrain(drawn)
    of_prior = columns({each.name: np.asarray(values[each.name]) for each in run.prior.parameters})
    before = np.stack([of_prior[name] for name in named], axis=-1)
    names = [name.replace("$", r"\$") for name in named]
    few = slice(panels.MOST_PAIRED)
    drawings: Drawings = [
        (
            "marginals",
            "Parameters one by one",
            "Draws given the observation (blue) and draws from the prior (orange).",
            panels.marginals(
                after[:, :MOST_MARGINALS],
                before[:, :MOST_MARGINALS],
                quantile_box(np.concatenate([after, before])[:, :MOST_MARGINALS]),
                names[:MOST_MARGINALS],
            ),
        )
    ]
    if len(names) > 1:
        drawings.append(
            (
                "pairs",
                "Parameters in pairs",
                f"Draws given the observation, at most {panels.MOST_PAIRED} numbers.",
                panels.pairs(after[:, few], None, quantile_box(after)[few], names[few]),
            )
        )
    return drawings


def _checks(run: InferRun) -> Drawings:
    drawings: Drawings = []
    if (found := run.calibration) is not None:
        drawings += [
            (
                "ranks",
                "Ranks",
                f"The rank of the parameters of {len(found.ranks):,} test pairs among draws given their data: uniform "
                "where the posterior is right, in the middle where it is too wide, at both ends where it is too "
                "narrow. The band holds 99% of the bars of uniform ranks.",
                calibration.ranks(found),
            ),
            (
                "coverage",
                "What intervals hold",
                "The share of the test pairs in central intervals of a parameter, and in regions of highest density, "
                "against what these promise; below the diagonal they are too narrow. The band is that of 99%.",
                calibration.coverages(found),
            ),
        ]
    if (predicted := run.predictive) is not None:
        drawings.append(
            (
                "predictive",
                "Predictions of the observation",
                f"Data simulated from {predicted.draws:,} draws given the observation, and the observation itself.",
                predictions(predicted),
            )
        )
    return drawings


def _curve(run: InferRun) -> tuple[str, str, str, panels.Drawing]:
    metrics, result = run.metrics, run.result
    steps = np.array([record["step"] for record in metrics], int)
    training, validation = (np.array([record[name] for record in metrics], float) for name in ("loss", "validation"))
    caption = (
        "Negative log-likelihood of parameters given their data under each flow: of training pairs, and of the "
        "validation pairs."
    )
    best = result["best_member"]
    curve = training_curve(steps, training, validation, best, result["best_steps"][best])
    return "loss", "Training", caption, curve
