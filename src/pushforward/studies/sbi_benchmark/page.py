"""The table and the figure of the study of simulation-based inference."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pushforward.drawing.page import Drawings, Table
from pushforward.drawing.panels import panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import DASH
from pushforward.studies.page import Described
from pushforward.studies.sbi_benchmark.cells import Result, SbiBenchmarkStudy
from pushforward.studies.sbi_benchmark.published import NPE

COLUMNS = ["task", "simulations", "seeds", "C2ST", "best", "worst", "NPE, published", "training / s", "sampling / s"]
WORDS = (
    "The tasks of Lueckmann et al., 2021, 'Benchmarking simulation-based inference': priors and simulators of our own, "
    "observations and 10,000 reference draws of each from sbibm 1.1.0. One posterior a budget, at the defaults of "
    "`pushforward infer`, for all ten observations. These defaults (learning rate, passes, flows averaged, width) "
    "were chosen by the log-density of fresh simulations on tasks of this benchmark, though not by C2ST or the "
    "reference draws; published values are of sbi's own defaults. `C2ST` is the mean accuracy with which a classifier "
    "tells 10,000 draws from the reference draws, by their definition: 0.5 where it cannot, 1 where it always does; "
    "`best` and `worst` of the ten observations, means over seeds. `NPE, published` is that of sbi 0.23 in the "
    "benchmark's own result files (github.com/sbi-benchmark/results, benchmarking_sbi_023), which have no SIR and no "
    "Lotka-Volterra. Times are those of the machine that is named, whatever else it does, compilation included in that "
    "of training; that of sampling is of 10,000 draws given one observation. Times of a quiet machine beside sbi's are "
    "in results/benchmarks/simulation.md."
)


def described(study: SbiBenchmarkStudy) -> Described:
    """The study in words, as a table and as numbers, and drawn: C2ST of every observation."""
    groups: dict[tuple[str, int], list[Result]] = {}
    for cell in study.runs:
        groups.setdefault((cell["task"], cell["simulations"]), []).append(cell)
    order = list(dict.fromkeys(cell["task"] for cell in study.runs))
    rows = [_row(*name, cells) for name, cells in groups.items()]
    rows.sort(key=lambda row: (order.index(row["task"]), row["simulations"]))
    table = Table(COLUMNS, [_cells(row) for row in rows], text_columns=1)
    caption = (
        "C2ST of each observation (points) and their mean (lines and bars), by the number of simulations; squares: "
        "published."
    )
    drawings: Drawings = [("", "Classifier two-sample tests", caption, _figure(rows, order))]
    return Described(_outcome(rows), WORDS, study.runs, table, rows, drawings)


def _outcome(rows: list[dict[str, Any]]) -> str:
    scores = {(row["task"], row["simulations"]): row["c2st"] for row in rows}
    known = [row for row in rows if row["published"] is not None]
    better = sum(row["c2st"] <= row["published"] for row in known)
    (easiest, _), (hardest, _) = (choose(scores, key=lambda cell: scores[cell]) for choose in (min, max))
    return (
        f"C2ST lies between {min(scores.values()):.3f} ({easiest}) and {max(scores.values()):.3f} ({hardest}); it is "
        f"at most the published one in {better} of {len(known)} cells that have one."
    )


def _row(task: str, simulations: int, cells: list[Result]) -> dict[str, Any]:
    scores = np.mean([cell["c2st"] for cell in cells], axis=0)
    return {
        "task": task,
        "simulations": simulations,
        "seeds": len(cells),
        "c2st": float(scores.mean()),
        "observations": scores.tolist(),
        "published": NPE.get(task, {}).get(simulations),
        "seconds_of_training": float(np.median([cell["seconds_of_training"] for cell in cells])),
        "seconds_of_sampling": float(np.median([cell["seconds_of_sampling"] for cell in cells])),
        "failures": {reason: count for cell in cells for reason, count in cell["failures"].items()},
    }


def _cells(row: dict[str, Any]) -> list[str]:
    scores = row["observations"]
    return [
        row["task"],
        f"{row['simulations']:,}",
        str(row["seeds"]),
        f"{row['c2st']:.3f}",
        f"{min(scores):.3f}",
        f"{max(scores):.3f}",
        DASH if row["published"] is None else f"{row['published']:.3f}",
        f"{row['seconds_of_training']:.0f}",
        f"{row['seconds_of_sampling']:.2f}" if row["seconds_of_sampling"] else DASH,
    ]


def _figure(rows: list[dict[str, Any]], order: list[str]) -> Drawing:
    def draw(style: Style) -> Figure:
        across = min(5, len(order))
        down = -(-len(order) // across)
        figure, panels = panel_grid(down, across, 1.25, 1.25, left=0.6, column_gap=0.2, row_gap=0.5, share=True)
        for axes, name in zip(panels.flat, order):
            chosen = [row for row in rows if row["task"] == name]
            budgets = [row["simulations"] for row in chosen]
            for row in chosen:
                places = np.full(len(row["observations"]), row["simulations"])
                axes.plot(places, row["observations"], "o", color=style.flow, markersize=3, alpha=0.5)
            axes.plot(budgets, [row["c2st"] for row in chosen], "-_", color=style.flow, markersize=12)
            known = [row for row in chosen if row["published"] is not None]
            at, published = ([row[name] for row in known] for name in ("simulations", "published"))
            axes.plot(at, published, "s", color=style.target, markersize=4, mfc="none")
            axes.set(xscale="log", ylim=(0.48, 1.02), xlim=(500, 200_000))
            axes.set_title(name, fontsize=8)
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
        for axes in list(panels.flat)[len(order) :]:
            axes.set_visible(False)
        for row_of_panels in panels:
            row_of_panels[0].set_ylabel("C2ST", fontsize=8)
        for axes in list(panels.flat)[max(0, len(order) - across) : len(order)]:
            axes.tick_params(labelbottom=True)
            axes.set_xlabel("simulations", fontsize=8)
        return figure

    return Drawing(draw)
