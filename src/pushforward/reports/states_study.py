"""The table and the figure of a study of densities of states."""

import math
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pushforward import manifolds
from pushforward.experiments.session import mean_and_std_error
from pushforward.experiments.studies.density_of_states import Result, StatesStudy
from pushforward.reports import figures
from pushforward.reports.study_parts import Described, markdown_table, provenance
from pushforward.reports.style import Drawing, Style
from pushforward.reports.text import DASH, number

MEASURES = ("kl", "kl_on_manifold", "w1", "w1_centred", "mean_gap", "nll")
COLUMNS = (
    "manifold",
    "flow",
    "base",
    "noise",
    "s²",
    "d",
    "D",
    "KL(p‖q)",
    "KL/D",
    "KL on the manifold",
    "W1",
    "W1/D",
    "W1, centred",
    "VP bound",
    "KL, Normal",
    "NLL",
    "diverged",
)
MARKERS = "os^Dvx"
LEAST_COLUMNS = 3


def described(study: StatesStudy) -> Described:
    """The study as Markdown, as rows of numbers, and drawn against what it varies."""
    rows = [_row(result) for result in study.runs]
    return Described(_markdown(study, rows), rows, _figure(rows))


def _row(result: Result) -> dict[str, Any]:
    """Means over the seeds that did not diverge, with their standard errors over those."""
    row: dict[str, Any] = {**result["cell"], "seeds": len(result["members"])}
    row["manifold_dim"] = manifolds.make(row["manifold"], row["manifold_dim"]).dim
    truth = {name: value for name, value in result["truth"].items() if name != "position"}
    for name in MEASURES:
        values = np.array([value for m in result["members"] if (value := m.get(name)) is not None], float)
        row[name], row[f"{name}_std_error"] = mean_and_std_error(values) if len(values) else (None, None)
        row[f"{name}_seeds"] = values.tolist()
    row["diverged"] = sum(m["diverged_at"] is not None for m in result["members"])
    return {**row, **truth, "seconds": result["seconds"]}


def _markdown(study: StatesStudy, rows: list[dict[str, Any]]) -> str:
    settings = study.runs[0]["settings"]
    lines = [
        f"# {study.config.study}",
        "",
        f"Flows of {settings['length']} layers (a residual flow: a fifth) with networks of {settings['depth']} x "
        f"{settings['width']} units at most, {settings['steps']:,} steps of {settings['batch_size']} points with fresh",
        f"noise; {settings['seeds']} seeds a cell, whose mean and standard error are shown. The validation set",
        "chose the step. All in nats. `W1`: between the densities of states of the data and of the flow; `centred`:",
        "once both have the mean 0; `VP bound`: what every map of constant determinant loses at least; `KL, Normal`:",
        "of the Normal with the mean and covariance of the data. Without noise there is no density to compare with.",
        "",
        *provenance(study.config.command(), study.runs),
        *markdown_table(COLUMNS, 4, [_cells(row) for row in rows]),
    ]
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    def mean(name: str, divisor: int = 1) -> str:
        value, error = row[name], row[f"{name}_std_error"]
        if value is None:
            return DASH
        return number(value / divisor, error and error / divisor) or DASH

    return [
        row["manifold"],
        row["flow"],
        row["base"],
        row["noise"],
        f"{row['variance']:g}",
        str(row["manifold_dim"]),
        str(row["dim"]),
        mean("kl"),
        mean("kl", row["dim"]),
        mean("kl_on_manifold"),
        mean("w1"),
        mean("w1", row["dim"]),
        mean("w1_centred"),
        DASH if "bound" not in row else number(row["bound"], (row["bound_high"] - row["bound_low"]) / 4) or DASH,
        DASH if "gaussian_kl" not in row else number(row["gaussian_kl"]) or DASH,
        mean("nll"),
        f"{row['diverged']} of {row['seeds']}",
    ]


def _figure(rows: list[dict[str, Any]]) -> Drawing:
    """KL(p || q) against the noise, or the dimension of the manifold, or by base; small multiples of the rest."""
    rows = [row for row in rows if row["variance"] > 0]
    labels = {"variance": "noise variance s²", "base": "base", "manifold_dim": "manifold dimension d", "flow": "flow"}
    varied = _varied(rows, list(labels))
    families = _values(rows, "flow")
    shapes, noises = _values(rows, "manifold"), _values(rows, "noise")
    panels = sorted(
        {(row["manifold"], row["noise"], row["dim"]) for row in rows},
        key=lambda panel: (shapes.index(panel[0]), noises.index(panel[1]), panel[2]),
    )
    columns = len(_values(rows, "dim"))
    columns = columns if columns > 1 else min(LEAST_COLUMNS, len(panels))
    words = isinstance(rows[0][varied], str)

    def draw(style: Style) -> Figure:
        figure, grid = figures.panel_grid(
            -(-len(panels) // columns),
            columns,
            1.9,
            1.35,
            left=1.0,
            top=1.0,
            bottom=1.1 if words else 0.65,
            row_gap=1.15 if words else 0.65,
            column_gap=0.6,
        )
        for axes in grid.ravel()[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid.ravel(), panels):
            here = [row for row in rows if (row["manifold"], row["noise"], row["dim"]) == panel]
            _panel(axes, here, varied, families, style)
            manifold, noise, dim = panel
            axes.set_title(f"{manifold.removeprefix('segment-')}, {noise}\nD = {dim}", fontsize=8)
        for axes in grid[:, 0]:
            axes.set_ylabel("KL(p‖q) / nats", fontsize=9)
        for axes in grid[-1]:
            axes.set_xlabel(labels[varied], fontsize=9)
        handles, names = grid[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="upper left", ncols=columns + 1, bbox_to_anchor=(0.02, 1.0))
        return figure

    return Drawing(draw)


def _panel(axes: Axes, here: list[dict[str, Any]], varied: str, families: list[str], style: Style) -> None:
    """KL(p || q) of every family against what is varied, and the bound."""
    ticks = _values(here, varied)
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    for family, colour, marker in zip(families, colours, MARKERS):
        line = [row for row in here if row["flow"] == family and row["kl"] is not None]
        _line(axes, line, varied, ticks, colour, marker, family)
    bounds = {row[varied]: row["bound"] for row in here}
    places = [ticks.index(value) for value in bounds]
    axes.plot(places, list(bounds.values()), color=style.text, linestyle=":", label="VP bound")
    axes.set_yscale("symlog", linthresh=1e-2)
    axes.set_ylim(0, 2 * max([row["kl"] for row in here if row["kl"] is not None] + [*bounds.values(), 1e-2]))
    turned: dict[str, Any] = (
        {"rotation": 55, "ha": "right", "rotation_mode": "anchor"} if isinstance(ticks[0], str) else {}
    )
    axes.set_xticks(range(len(ticks)), [_tick(tick) for tick in ticks], fontsize=7, **turned)
    axes.grid(axis="y")
    axes.spines[["top", "right"]].set_visible(False)


def _line(
    axes: Axes, line: list[dict[str, Any]], varied: str, ticks: list[Any], colour: Any, marker: str, label: str
) -> None:
    axes.errorbar(
        [ticks.index(row[varied]) for row in line],
        [max(row["kl"], 0.0) for row in line],
        [row["kl_std_error"] or 0.0 for row in line],
        color=colour,
        marker=marker,
        markersize=4,
        linewidth=1,
        label=label,
    )


def _varied(rows: list[dict[str, Any]], names: list[str]) -> str:
    """The first of the names that has several values within a panel, else the last."""
    for name in names:
        panels: dict[tuple[Any, ...], set[Any]] = {}
        for row in rows:
            panels.setdefault((row["manifold"], row["noise"], row["dim"]), set()).add(row[name])
        if any(len(values) > 1 for values in panels.values()):
            return name
    return names[-1]


def _values(rows: list[dict[str, Any]], name: str) -> list[Any]:
    values = list(dict.fromkeys(row[name] for row in rows))
    return values if any(isinstance(value, str) for value in values) else sorted(values)


def _tick(value: Any) -> str:
    if isinstance(value, float):
        return f"$10^{{{math.log10(value):.0f}}}$"
    return str(value)
