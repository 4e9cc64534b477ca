"""The report of one deep latent Gaussian model."""

from pathlib import Path

import jax
import numpy as np

from pushforward.drawing.data import clouds, column_pairs
from pushforward.drawing.images import mosaics
from pushforward.drawing.page import Drawings, render, write_pictures
from pushforward.drawing.style import Drawing
from pushforward.drawing.training import training_curve
from pushforward.experiments.config import values_of
from pushforward.experiments.dlgm import figures, words
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.experiments.dlgm.words import noun
from pushforward.experiments.words import configuration, warnings

PAIRS = 32
SAMPLES = 64
ROWS = 2000


def write_report(run: DlgmRun) -> Path:
    """Write `figures/*.png` and `report.html` into the folder of the run.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: the run is not finished, or its data have changed.
    """
    run.check_data()
    result = {**run.result, **words.truth(run)}
    pictures = write_pictures(run.folder / "figures", [*_drawings(run), _curve(run)])
    report = run.folder / "report.html"
    report.write_text(
        render(
            f"A deep latent Gaussian model of {run.dataset.name}",
            verdict=words.verdict(run, result),
            results=words.results(run, result),
            warnings=warnings(result),
            pictures=pictures,
            restarts=words.restarts(result),
            configuration=configuration(values_of(run.config)),
            command=words.command(result),
            environment=words.environment(result),
        ),
        encoding="utf-8",
    )
    return report


def _drawings(run: DlgmRun) -> Drawings:
    key_data, key_posterior, key_latents = jax.random.split(jax.random.key(0), 3)
    views = figures.views(run, key_posterior)
    return [
        *(_rows(run, key_data) if run.dataset.levels is None else _images(run, key_data)),
        (
            "posteriors",
            "Posteriors before and after the flow" if run.config.length else "Posteriors",
            _posteriors_caption(run),
            figures.posteriors(views) if views else None,
        ),
        (
            "latents",
            "Where the test set lies among the latents",
            f"A draw of q(z|x) for each test {noun(run)}, which keeps the colour of its place among the data"
            + (" (left)." if run.dataset.shape == (2,) else ", by their first two principal components (left)."),
            figures.latent_map(run, key_latents),
        ),
    ]


def _images(run: DlgmRun, key: jax.Array) -> Drawings:
    key_reconstructions, key_samples = jax.random.split(key)
    shown, reconstructed = figures.reconstructions(run, key_reconstructions, PAIRS)
    samples = figures.samples(run, key_samples, SAMPLES)
    tests = figures.pictures(run, run.test_observations[:SAMPLES])
    return [
        (
            "reconstructions",
            "Reconstructions",
            f"{len(shown)} test images as the model sees them, each with the centre of p(x|z) to its right, for one "
            "draw z of q(z|x).",
            figures.pairs(shown, reconstructed),
        ),
        (
            "samples",
            "Samples",
            f"{len(tests)} test images as the model sees them, and the centres of p(x|z) for {SAMPLES} draws z of the "
            "prior.",
            mosaics({"test images": tests, "samples of the model": samples}),
        ),
    ]


def _rows(run: DlgmRun, key: jax.Array) -> Drawings:
    data, points = run.dataset, figures.samples(run, key, ROWS)
    drawing = clouds(data, points, "model") if data.shape == (2,) else column_pairs(data, points)
    where = "" if data.shape == (2,) else " below the diagonal (blue) and above it (orange)"
    caption = f"{len(points):,} samples of p(x) and {min(len(points), len(data.test)):,} test rows{where}."
    return [("samples", "Samples", caption, drawing)]


def _posteriors_caption(run: DlgmRun) -> str:
    length, in_plane = run.config.length, run.dataset.shape == (2,)
    draws = "Draws of q(z|x)"
    if in_plane:
        draws += " for the test rows nearest to the middles of three clusters (left)"
    elif run.dataset.levels is not None:
        draws += " for the first test images"
    draws += ", before the flow, when it is Normal, and after it" if length else ", which is Normal"
    if sum(run.config.latents) == 2:
        return f"{draws}; beside them the true posterior p(z|x), which two latents allow to compute: the aim of q(z|x)."
    if length:
        return f"{draws}: in the plane of the two latents whose law the flow changes the most, beyond a shift."
    return f"{draws}: in the plane of the two latents that it knows best, with the smallest standard deviations."


def _curve(run: DlgmRun) -> tuple[str, str, str, Drawing]:
    config, metrics, result = run.config, run.metrics, run.result
    steps = np.array([record["step"] for record in metrics], int)
    training, validation = (np.array([record[name] for record in metrics], float) for name in ("loss", "validation"))
    bound = "The free energy" if config.objective == "free-energy" else "The importance-weighted bound"
    annealed = {"joint": "log p(x, z)", "kl": "the divergence from the prior"}[config.annealed]
    annealing_steps = config.annealing_steps if config.objective == "free-energy" else 0
    caption = (
        f"{bound} of training, its mean over the steps between two records, and the free energy of the validation set, "
        f"at each."
    )
    if annealing_steps:
        caption += (
            f" In training, {annealed} was annealed up to step {annealing_steps:,}: until then its free energy is "
            "another one, and may lie outside the axis."
        )
    curve = training_curve(steps, training, validation, 0, result["best_step"], "free energy", settled=annealing_steps)
    return "loss", "Training", caption, curve
