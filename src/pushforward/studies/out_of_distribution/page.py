"""The table and the figure of a study of images out of distribution."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pushforward.drawing.page import Drawings, Table
from pushforward.drawing.panels import few_ticks, panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import DASH, MINUS, number
from pushforward.evaluation import roc_curve
from pushforward.states import TypicalSet, from_log_densities
from pushforward.studies.out_of_distribution.cells import LEVEL, REFERENCES, OutOfDistributionStudy, Result
from pushforward.studies.page import Described

BINS = 80
COLUMNS = [
    "trained on",
    "outliers",
    "flow",
    "seed",
    "bits/dim, test",
    "bits/dim, outliers",
    "log p, test",
    "log p, outliers",
    "median",
    "log p, draws",
    "variance, test",
    "variance, draws",
    "W1, outliers",
    "W1/D, outliers",
    "W1, draws",
    "AUROC, likelihood",
    "AUROC, distance",
    "AUROC, two-sided",
]
LAWS = {"inliers": "test images", "outliers": "outliers", "own": "draws of the flow"}


def described(study: OutOfDistributionStudy) -> Described:
    """The study in words, as a table and as numbers, and drawn: densities of states over ROC curves."""
    sources, names = [Path(source).stem for source in study.config.data], study.config.flows
    cells = sorted(study.runs, key=lambda cell: (sources.index(cell["data"]), names.index(cell["flow"]), cell["seed"]))
    columns = [
        *COLUMNS,
        *(f"two-sided, M = {size}" for size in study.config.groups),
        "two-sided, by draws",
        "rejected",
        "rejected, by draws",
    ]
    rows = [_row(cell) for cell in cells]
    table = Table(columns, [_cells(row) for row in rows], text_columns=3)
    runs = list({cell["run"]: cell for cell in cells}.values())
    caption = (
        "Above, densities of states: the laws of log p for test images, outliers and draws of the flow. Below, the ROC "
        "curves of three scores of single images. Of the first seed."
    )
    drawings: Drawings = [("", "Densities of states and ROC curves", caption, _figure(cells))]
    return Described(_outcome(rows), _words(cells), runs, table, rows, drawings)


def _outcome(rows: list[Result]) -> str:
    by_likelihood, two_sided = (
        [row["detection"][0]["auroc"][score]["value"] for row in rows] for score in ("likelihood", "two_sided_held_out")
    )
    return (
        f"The outliers have the higher likelihood in {sum(area < 0.5 for area in by_likelihood)} of {len(rows)} cells. "
        f"The two-sided test of single images has an AUROC of {min(two_sided):.3f} to {max(two_sided):.3f}, likelihood "
        f"alone {min(by_likelihood):.3f} to {max(by_likelihood):.3f}."
    )


def _row(cell: Result) -> Result:
    """The numbers about a cell, without the log-densities of every image."""
    medians = {name: float(np.median(values)) for name, values in cell["log_densities"].items()}
    laws = {name: {**law, "median": medians[name]} for name, law in cell["laws"].items()}
    return {**{name: value for name, value in cell.items() if name != "log_densities"}, "laws": laws}


def _words(cells: list[Result]) -> str:
    counts = {name: max(cell["laws"][name]["count"] for cell in cells) for name in (*LAWS, "held_out")}
    return (
        f"Flows trained on one set of images and shown another: {counts['inliers']:,} test images, "
        f"{counts['outliers']:,} outliers, {counts['own']:,} draws of the flow, {counts['held_out']:,} held-out images "
        "(the validation set, which chose the step). `log p`: mean (standard deviation) in nats, of images a lower "
        "bound of the log-probability of their grey levels from one draw of the noise, of draws the log-density per "
        "grey level; `variance`: of log p, over the D/2 of a Normal; `W1`: from the density of states of the test "
        "images, in nats, with its bootstrap interval. `AUROC`: of outliers among test images, with its interval at "
        "95% by DeLong's variance on the scale of the logit; `likelihood`: low log p; `distance`: log p far from its "
        "mean over the held-out images (Nalisnick et al., 2019); `two-sided`: a low p-value of log p under their "
        "density of states, or under that of the draws; M: images judged together, 1 unless said. `rejected`: share "
        f"of the test images with a p-value of {LEVEL:g} or less."
    )


def _cells(row: Result) -> list[str]:
    laws, distances = row["laws"], row["distances"]
    alone, *groups = row["detection"]
    return [
        row["data"],
        row["outliers"],
        row["flow"],
        str(row["seed"]),
        *(number(laws[name]["bits_per_dimension"]) or DASH for name in ("inliers", "outliers")),
        _moments(laws["inliers"]),
        _moments(laws["outliers"]),
        _whole(laws["outliers"]["median"]),
        _moments(laws["own"]),
        *(number(laws[name]["variance_over_half_dim"]) or DASH for name in ("inliers", "own")),
        _interval(distances["outliers"]["wasserstein"], _whole),
        number(distances["outliers"]["wasserstein_per_dim"]["value"]) or DASH,
        _interval(distances["own"]["wasserstein"], _whole),
        *(_area(alone, name) for name in ("likelihood", "distance_held_out", "two_sided_held_out")),
        *(_area(group, "two_sided_held_out") for group in groups),
        _area(alone, "two_sided_own"),
        *(f"{alone['rejected'][name]['inliers']:.1%}" for name in REFERENCES),
    ]


def _moments(law: dict[str, float]) -> str:
    return f"{_whole(law['mean'])} ({_whole(law['standard_deviation'])})"


def _whole(nats: float) -> str:
    return (f"{nats:,.0f}" if abs(nats) < 1e6 else f"{nats:.2g}").replace("-", MINUS)


def _area(detection: Result, score: str) -> str:
    return _interval(detection["auroc"][score], "{:.3f}".format)


def _interval(estimate: dict[str, float], shown: Callable[[float], str]) -> str:
    return f"{shown(estimate['value'])} [{shown(estimate['low'])}, {shown(estimate['high'])}]"


def _figure(cells: list[Result]) -> Drawing:
    """Two rows of panels for each pair of data sets, a column for each flow."""
    first = min(cell["seed"] for cell in cells)
    shown = {(cell["data"], cell["outliers"], cell["flow"]): cell for cell in cells if cell["seed"] == first}
    pairs = list(dict.fromkeys((data, outliers) for data, outliers, _ in shown))
    names = list(dict.fromkeys(flow for _, _, flow in shown))

    def draw(style: Style) -> Figure:
        figure, grid = panel_grid(
            2 * len(pairs), len(names), 2.5, 1.6, top=1.1, bottom=0.6, row_gap=0.85, column_gap=0.45
        )
        for row, pair in enumerate(pairs):
            for column, name in enumerate(names):
                states, curves = grid[2 * row : 2 * row + 2, column]
                cell = shown[*pair, name]
                _states(states, cell, style)
                _curves(curves, cell, style)
                states.set_title(f"{name}\n{pair[0]} against {pair[1]}", fontsize=9)
            grid[2 * row, 0].set_ylabel("density / nats⁻¹", fontsize=9)
            grid[2 * row + 1, 0].set_ylabel("outliers found", fontsize=9)
        for line, axes in enumerate((grid[0, 0], grid[1, 0])):
            handles, labels = axes.get_legend_handles_labels()
            place = (0.02, 1 - 0.24 * line / figure.get_figheight())
            figure.legend(handles, labels, loc="upper left", ncols=len(labels), bbox_to_anchor=place, fontsize=9)
        return figure

    return Drawing(draw)


def _states(axes: Axes, cell: Result, style: Style) -> None:
    """Histograms of log p in common bins; of outliers far below, their share in words."""
    values = {name: np.array(cell["log_densities"][name]) for name in LAWS}
    ends = {name: np.quantile(each, [0.002, 0.998]) for name, each in values.items()}
    low, high = min(ends["inliers"][0], ends["own"][0]), max(each[1] for each in ends.values())
    low = min(low, max(ends["outliers"][0], low - 2 * (high - low)))
    edges = np.linspace(low, high, BINS + 1)
    for (name, label), colour in zip(LAWS.items(), (style.target, style.muted, style.flow)):
        density = np.histogram(values[name], edges)[0] / (len(values[name]) * np.diff(edges))
        axes.stairs(density, edges, color=colour, fill=True, alpha=0.25)
        axes.stairs(density, edges, color=colour, label=label)
    lower = np.mean(values["outliers"] < low)
    if lower > 0.01:
        axes.text(
            0.03,
            0.95,
            f"{lower:.0%} of outliers\nlower",
            transform=axes.transAxes,
            fontsize=8,
            va="top",
            color=style.muted,
        )
    axes.set_xlabel("log p / nats", fontsize=9)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
    axes.yaxis.get_offset_text().set_fontsize(7)
    few_ticks(axes)
    _plain(axes)


def _curves(axes: Axes, cell: Result, style: Style) -> None:
    """ROC curves of the likelihood and of two-sided tests by held-out images and by draws."""
    values = {name: np.array(each) for name, each in cell["log_densities"].items()}
    typical = {name: TypicalSet(from_log_densities(values[name])) for name in REFERENCES}
    pair = [values["inliers"], values["outliers"]]
    for label, scores, colour in (
        ("likelihood", [-each for each in pair], style.muted),
        ("two-sided, by held-out images", [-typical["held_out"].p_values(each) for each in pair], style.target),
        ("two-sided, by draws", [-typical["own"].p_values(each) for each in pair], style.flow),
    ):
        axes.plot(*roc_curve(*scores), color=colour, label=label, linewidth=1.5)
    axes.plot([0, 1], [0, 1], color=style.rule, linestyle=":", linewidth=1)
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_xlabel("test images taken for outliers", fontsize=9)
    _plain(axes)


def _plain(axes: Axes) -> None:
    axes.tick_params(labelsize=7)
    axes.spines[["top", "right"]].set_visible(False)
