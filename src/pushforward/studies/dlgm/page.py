"""The table and the figure of a study of deep latent Gaussian models."""

from collections import defaultdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pushforward.drawing.page import Table
from pushforward.drawing.panels import panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import DASH, MINUS, number
from pushforward.evaluation.means import mean_and_std_error
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.studies.dlgm.cells import DlgmStudy
from pushforward.studies.page import Described

NO_FLOW = "no flow"
MEASURES = ("free_energy", "kl_posterior", "nll_iwae", "nll_ais")
COLUMNS = [
    "series",
    "K",
    "seeds",
    "F",
    "KL(q‖p(z|x)), at least",
    f"{MINUS}log p(x), IWAE, at most",
    f"{MINUS}log p(x), AIS, at most",
    f"paper, {MINUS}log p(x) [m]",
    "active units",
    "best step",
]
FIGURE = (
    "The free energy, the divergence of the posteriors and the estimate of the log-likelihood against the layers K."
)

# Rezende & Mohamed, 2015, Tables 2 and 3, from memory of the paper.
PAPER: dict[str, dict[tuple[str, int], float]] = {
    "rezende-mohamed-figure-4": {
        (NO_FLOW, 0): 89.9,
        ("planar", 10): 87.5,
        ("planar", 20): 86.5,
        ("planar", 40): 85.7,
        ("planar", 80): 85.1,
        ("nice", 10): 88.6,
        ("nice", 20): 87.9,
        ("nice", 40): 87.3,
        ("nice", 80): 87.2,
    },
    "rezende-mohamed-table-3": {
        (NO_FLOW, 0): -293.7,
        ("planar", 2): -308.6,
        ("planar", 5): -317.9,
        ("planar", 10): -320.7,
    },
}


def described(study: DlgmStudy) -> Described:
    """The study as Markdown, as rows of numbers, and drawn against K."""
    paper = PAPER.get(study.config.study, {})
    runs: dict[tuple[str, int], list[DlgmRun]] = defaultdict(list)
    for cell in study.runs:
        runs[cell.series, cell.run.config.length].append(cell.run)
    rows = [_row(series, length, members, paper) for (series, length), members in runs.items()]
    return Described(
        _outcome(rows),
        _words(study),
        [cell.run.result for cell in study.runs],
        Table(COLUMNS, [_cells(row) for row in rows], text_columns=2),
        rows,
        [("", "Against K", FIGURE, _figure(rows, paper))],
    )


def _row(series: str, length: int, runs: list[DlgmRun], paper: dict[tuple[str, int], float]) -> dict[str, Any]:
    """The means over the seeds; of a single seed with its standard error over the images, else over the seeds."""
    row: dict[str, Any] = {"series": series, "length": length, "seeds": len(runs)}
    for name in MEASURES:
        values: list[Any] = [run.result.get(name) for run in runs]
        if None in values:
            row[name] = row[f"{name}_std_error"] = None
        elif len(runs) == 1:
            row[name], row[f"{name}_std_error"] = values[0], runs[0].result[f"{name}_std_error"]
        else:
            row[name], row[f"{name}_std_error"] = mean_and_std_error(np.array(values))
    return {
        **row,
        "paper": paper.get((series, length)),
        "active_units": [run.result["active_units"] for run in runs],
        "best_step": [run.result["best_step"] for run in runs],
        "seconds": [run.result["seconds"] for run in runs],
        "evaluations": [run.result["evaluations"] for run in runs],
        "commands": [run.result["command"] for run in runs],
    }


def _words(study: DlgmStudy) -> str:
    first = study.runs[0].run
    config, evaluations = first.config, first.result["evaluations"]
    iwae, ais = evaluations["iwae"], evaluations.get("ais")
    measured = f"`IWAE`: {iwae['draws']:,} draws for each of {iwae['points']:,} test images"
    if ais is not None:
        measured += (
            f"; `AIS`: {ais['chains']} chains of {ais['temperatures']:,} temperatures for each of "
            f"{ais['points']:,} test images, by which the KL is measured too"
        )
    kind = config.likelihood if config.binarisation is None else f"{config.binarisation} binarisation"
    return (
        f"In nats, of {config.data} ({kind}), with standard errors over the test images, or over the seeds where there "
        f"are several. The validation bound chose the step; the test set was looked at once. {measured}. "
        "Importance sampling and AIS bound it from above on average, and the KL from below. [m]: from memory of the "
        "paper, whose numbers are upper bounds too."
    )


def _outcome(rows: list[dict[str, Any]]) -> str:
    estimator = _widest(rows)
    nll = f"nll_{estimator}"
    known = [row for row in rows if row[nll] is not None]
    if not known:
        return f"No {MINUS}log p(x) could be estimated."
    best = min(known, key=lambda row: row[nll])
    reached = number(best[nll], best[f"{nll}_std_error"])
    said = f"The lowest {MINUS}log p(x) by {estimator.upper()} is {reached}, {best['series']} of K = {best['length']}"
    plain = [row for row in known if row["series"] == NO_FLOW]
    if not plain or best is plain[0]:
        return f"{said}."
    return f"{said}: {number(plain[0][nll] - best[nll])} nats below that without a flow."


def _cells(row: dict[str, Any]) -> list[str]:
    numbers = [number(row[name], row[f"{name}_std_error"]) or DASH for name in MEASURES]
    paper = DASH if row["paper"] is None else f"≤ {number(row['paper'])}"
    units, steps = (", ".join(f"{value:,}" for value in row[name]) for name in ("active_units", "best_step"))
    return [row["series"], str(row["length"]), str(row["seeds"]), *numbers, paper, units, steps]


def _widest(rows: list[dict[str, Any]]) -> str:
    """The estimator of -log p(x) that saw the most test images, annealed importance sampling if both saw as many."""
    first = rows[0]["evaluations"][0]
    return max(("ais", "iwae"), key=lambda name: first.get(name, {}).get("points", 0))


def _figure(rows: list[dict[str, Any]], paper: dict[tuple[str, int], float]) -> Drawing:
    """F, KL(q || p(z|x)) and -log p(x) against K, a line for each series, as in R&M 2015, Figure 4."""
    estimator = _widest(rows)
    nll = f"nll_{estimator}"
    panels = (
        ("free_energy", "free energy F"),
        ("kl_posterior", "KL(q‖p(z|x))"),
        (nll, f"{MINUS}log p(x), {estimator.upper()}"),
    )
    names = [name for name in dict.fromkeys(row["series"] for row in rows) if name != NO_FLOW] or [NO_FLOW]
    lengths = sorted({row["length"] for row in rows})

    def draw(style: Style) -> Figure:
        figure, (row_of_axes,) = panel_grid(1, 3, 2.35, 2.0, top=0.75, column_gap=0.65)
        for axes, (measure, title) in zip(row_of_axes, panels):
            colours = [style.flow, style.target, style.text]
            for name, colour, marker in zip(names, colours, "os^"):
                line = sorted((r for r in rows if r["series"] in (name, NO_FLOW)), key=lambda r: r["length"])
                line = [r for r in line if r[measure] is not None]
                places = [lengths.index(r["length"]) for r in line]
                errors = [r[f"{measure}_std_error"] or 0.0 for r in line]
                axes.errorbar(
                    places, [r[measure] for r in line], errors, color=colour, marker=marker, markersize=5, label=name
                )
                if measure == nll and any(series == name for series, _ in paper):
                    points = sorted((length, v) for (s, length), v in paper.items() if s in (name, NO_FLOW))
                    shown = [(lengths.index(length), value) for length, value in points if length in lengths]
                    axes.plot(*zip(*shown), color=colour, linestyle=":", label=f"{name}, paper")
            axes.set(title=title, xlabel="K")
            axes.set_xticks(range(len(lengths)), [str(length) for length in lengths])
            axes.margins(x=0.08)
            axes.grid(axis="y")
            axes.spines[["top", "right"]].set_visible(False)
        row_of_axes[0].set_ylabel("nats")
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper left", ncols=len(labels), bbox_to_anchor=(0.04, 1.0))
        return figure

    return Drawing(draw)
