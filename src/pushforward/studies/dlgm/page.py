"""The table and the figure of a study of deep latent Gaussian models."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pushforward.drawing.page import Table
from pushforward.drawing.panels import panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import DASH, MINUS, number
from pushforward.evaluation.means import mean_and_std_error
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.studies.base import Lost
from pushforward.studies.dlgm.cells import NO_FLOW, DlgmStudy
from pushforward.studies.page import Described

Rows = list[dict[str, Any]]

MEASURES = ("free_energy", "kl_posterior", "nll_iwae", "nll_ais")
COLUMNS = [
    "series",
    "K",
    "seeds",
    "F",
    "KL(q‖p(z|x)), at least",
    f"{MINUS}log p(x), IWAE, at most",
    f"{MINUS}log p(x), AIS, at most",
    "active units",
    "best step",
    "hours",
]
PAPERS = f"paper, {MINUS}log p(x) [m]"
PAPERS_SAID = " [m]: from memory of the paper, whose numbers are upper bounds too."
SHOWN = "The free energy, the divergence of the posteriors and the estimate of the log-likelihood"

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
    return _described(study, "Against K", f"{SHOWN} against the layers K.", _against_length)


def described_families(study: DlgmStudy) -> Described:
    """The study as Markdown, as rows of numbers, and drawn family by family."""
    return _described(study, "By family", f"{SHOWN}, by the family of the posterior.", _by_family)


def _described(study: DlgmStudy, heading: str, caption: str, figure: Callable[[Rows], Drawing]) -> Described:
    paper = PAPER.get(study.config.study, {})
    runs: dict[tuple[str, int], list[DlgmRun | Lost]] = defaultdict(list)
    for cell in study.runs:
        runs[cell.series, cell.length].append(cell.run)
    rows = [_row(series, length, members, paper) for (series, length), members in runs.items()]
    columns = COLUMNS if not paper else [*COLUMNS[:-3], PAPERS, *COLUMNS[-3:]]
    return Described(
        _outcome(rows),
        _words(study, bool(paper)),
        [run.result for run in _whole(study)],
        Table(columns, [_cells(row, bool(paper)) for row in rows], text_columns=2),
        rows,
        [("", heading, caption, figure(rows))],
    )


def _whole(study: DlgmStudy) -> list[DlgmRun]:
    """The runs that did not diverge."""
    return [cell.run for cell in study.runs if not isinstance(cell.run, Lost)]


def _row(
    series: str, length: int, members: list[DlgmRun | Lost], paper: dict[tuple[str, int], float]
) -> dict[str, Any]:
    """The means over the seeds; of a single seed with its standard error over the images, else over the seeds."""
    lost = [run for run in members if isinstance(run, Lost)]
    runs = [run for run in members if not isinstance(run, Lost)]
    row: dict[str, Any] = {"series": series, "length": length, "seeds": len(runs)}
    for name in MEASURES:
        values: list[Any] = [run.result.get(name) for run in runs]
        if not values or None in values:
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
        "diverged": [{"step": run.step, "leaf": run.leaf} for run in lost],
    }


def _words(study: DlgmStudy, paper: bool) -> str:
    first = _whole(study)[0]
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
        "Importance sampling and AIS bound it from above on average, and the KL from below. `hours`: of training, the "
        f"mean over the seeds.{PAPERS_SAID if paper else ''}"
    )


def _outcome(rows: Rows) -> str:
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


def _cells(row: dict[str, Any], paper: bool) -> list[str]:
    numbers = [number(row[name], row[f"{name}_std_error"]) or DASH for name in MEASURES]
    published = [DASH if row["paper"] is None else f"≤ {number(row['paper'])}"] if paper else []
    lost = [f"diverged at {each['step']:,} in {each['leaf']}" for each in row["diverged"]]
    units, steps = ([f"{value:,}" for value in row[name]] for name in ("active_units", "best_step"))
    hours = f"{np.mean(row['seconds']) / 3600:.2f}" if row["seconds"] else DASH
    ends = [", ".join(units) or DASH, ", ".join(steps + lost), hours]
    return [row["series"], str(row["length"]), str(row["seeds"]), *numbers, *published, *ends]


def _widest(rows: Rows) -> str:
    """The estimator of -log p(x) that saw the most test images, annealed importance sampling if both saw as many."""
    first = next(each for row in rows for each in row["evaluations"])
    return max(("ais", "iwae"), key=lambda name: first.get(name, {}).get("points", 0))


def _panels(rows: Rows) -> tuple[tuple[str, str], ...]:
    """What is drawn: the name of a measure, and a title."""
    estimator = _widest(rows)
    return (
        ("free_energy", "free energy F"),
        ("kl_posterior", "KL(q‖p(z|x))"),
        (f"nll_{estimator}", f"{MINUS}log p(x), {estimator.upper()}"),
    )


def _by_family(rows: Rows) -> Drawing:
    """F, KL(q || p(z|x)) and -log p(x) of each family, a row for each, with its standard errors."""
    names = [row["series"] if row["series"] == NO_FLOW else f"{row['series']}, K = {row['length']}" for row in rows]
    places = np.arange(len(rows))

    def draw(style: Style) -> Figure:
        height = 0.28 * len(rows) + 0.2
        figure, (row_of_axes,) = panel_grid(1, 3, 1.9, height, left=2.2, column_gap=0.2, top=0.35)
        for axes, (measure, title) in zip(row_of_axes, _panels(rows)):
            values = [np.nan if row[measure] is None else row[measure] for row in rows]
            errors = [row[f"{measure}_std_error"] or 0.0 for row in rows]
            axes.errorbar(values, places, xerr=errors, fmt="o", color=style.flow, markersize=5)
            axes.set(title=title, xlabel="nats", ylim=(len(rows) - 0.5, -0.5))
            axes.set_yticks(places, names if axes is row_of_axes[0] else [""] * len(names))
            axes.margins(x=0.12)
            axes.grid(axis="both")
            axes.spines[["top", "right"]].set_visible(False)
        return figure

    return Drawing(draw)


def _against_length(rows: Rows) -> Drawing:
    """F, KL(q || p(z|x)) and -log p(x) against K, a line for each series, as in R&M 2015, Figure 4."""
    panels = _panels(rows)
    nll, _ = panels[-1]
    names = [name for name in dict.fromkeys(row["series"] for row in rows) if name != NO_FLOW] or [NO_FLOW]
    lengths = sorted({row["length"] for row in rows})

    def draw(style: Style) -> Figure:
        figure, (row_of_axes,) = panel_grid(1, 3, 2.35, 2.0, top=0.75, column_gap=0.65)
        for axes, (measure, title) in zip(row_of_axes, panels):
            colours = [style.flow, style.target, style.text]
            for name, colour, marker in zip(names, colours, "os^"):
                points = sorted((r for r in rows if r["series"] in (name, NO_FLOW)), key=lambda r: r["length"])
                line = [r for r in points if r[measure] is not None]
                places = [lengths.index(r["length"]) for r in line]
                errors = [r[f"{measure}_std_error"] or 0.0 for r in line]
                axes.errorbar(
                    places, [r[measure] for r in line], errors, color=colour, marker=marker, markersize=5, label=name
                )
                published = [(lengths.index(r["length"]), r["paper"]) for r in points if r["paper"] is not None]
                if measure == nll and published:
                    line_style: dict[str, Any] = {"linestyle": ":", "marker": marker, "markerfacecolor": "none"}
                    axes.plot(*zip(*published), color=colour, markersize=5, **line_style, label=f"{name}, paper")
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
