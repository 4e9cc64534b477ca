"""The table and the figure of a study of loss landscapes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pushforward.drawing.page import Table
from pushforward.drawing.panels import panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import DASH, number
from pushforward.studies.loss_landscape.cells import LandscapeStudy, Result
from pushforward.studies.page import Described

COLUMNS = [
    "flow",
    "KL(p‖q), median (quartiles)",
    "diverged",
    "top eigenvalue",
    "of the scales",
    "of the rest",
    "sharpness",
    "of the scales",
    "of the rest",
    "median rise on the grid",
    "without scales",
    "weight change, scales over rest",
    "gradient norm, scales over rest",
]
LEVELS = 12


def described(study: LandscapeStudy) -> Described:
    """The study as Markdown, as numbers, and drawn: contours, contours without the scales, and surfaces."""
    config, settings = study.config, study.runs[0]["settings"]
    words = (
        f"{config.manifold} in D = {config.dim} with Normal noise of variance {config.variance:g}; 10 layers with "
        f"networks of 2 x {settings['width']} units at most; {settings['steps']:,} steps, {config.seeds} seeds. "
        "KL(p‖q) of the step that the validation set chose, on 65,536 test rows. Loss and curvature are those of the "
        "first seed on 1,000 of them, in nats. The same two directions, normalised per "
        f"filter, for all flows; the grid ends at {config.radius:g} norms of each filter. Scales: what sets the slope "
        "of a layer, and of the base. Sharpness: the rise of the loss after a step of length 0.05 along the gradient. "
        "Traces: means over training."
    )
    caption = (
        "The rise of the loss around each trained flow along two random directions, in norms of each filter: as "
        "contours over all parameters and over those that set no scale, and as a surface over all, in the same colours."
    )
    table = Table(COLUMNS, [_cells(result) for result in study.runs], text_columns=1)
    return Described(
        _outcome(study.runs), words, study.runs, table, study.runs, [("", "Loss landscapes", caption, _figure(study))]
    )


def _outcome(results: Sequence[Result]) -> str:
    known = {
        result["flow"]: result["eigenvalues"]["all"]
        for result in results
        if np.isfinite(result["eigenvalues"]["all"] or np.nan)
    }
    if not known:
        return "No curvature is finite."
    least, most = (choose(known, key=lambda flow: known[flow]) for choose in (min, max))
    return (
        f"The top eigenvalue of the Hessian is the largest for {most}, {_shown(known[most])}, and the smallest for "
        f"{least}, {_shown(known[least])}."
    )


def _cells(result: Result) -> list[str]:
    spread, trace = result["kl"], result["trace"]
    lower, median, upper = (_shown(spread[name]) for name in ("lower", "median", "upper"))
    return [
        result["flow"],
        f"{median} ({lower}, {upper})",
        f"{spread['diverged']:.0%}",
        *(_shown(result["eigenvalues"][name]) for name in ("all", "scale", "rest")),
        *(_shown(result["sharpness"][name]) for name in ("all", "scale", "rest")),
        *(_shown(float(np.median(_rise(result, name)))) for name in ("all", "rest")),
        *(_shown(_ratio(trace[name])) for name in ("weight_change", "gradient_norm")),
    ]


def _shown(value: float) -> str:
    return (f"{value:,.0f}" if abs(value) >= 1000 else number(value)) or DASH


def _ratio(groups: dict[str, Any]) -> float:
    scale, rest = (np.nanmean(np.array(groups[name], float)) for name in ("scale", "rest"))
    return float(scale / rest)


def _rise(result: Result, name: str) -> np.ndarray:
    """The loss on the grid less that of the model itself, inf where it is not finite."""
    loss = np.array(result["landscapes"][name], float)
    loss = np.where(np.isfinite(loss), loss, np.inf)
    middle = len(loss) // 2
    return loss - loss[middle, middle]


def _figure(study: LandscapeStudy) -> Drawing:
    coordinates = np.linspace(-study.config.radius, study.config.radius, study.config.points)
    rows = (("all", "all parameters"), ("rest", "without the scales"))

    heights = [{name: np.log10(1 + np.maximum(_rise(result, name), 0)) for name, _ in rows} for result in study.runs]
    top = max(float(h[np.isfinite(h)].max()) for each in heights for h in each.values())
    levels = np.linspace(0, max(top, 1e-6), LEVELS + 1)

    def draw(style: Style) -> Figure:
        count = len(study.runs)
        figure, grid = panel_grid(
            3, count, 2.2, 2.0, left=0.7, right=0.9, top=0.75, bottom=0.3, row_gap=0.6, column_gap=0.5
        )
        for column, (result, each) in enumerate(zip(study.runs, heights)):
            for axes, (name, label) in zip(grid[:, column], rows):
                shown = np.ma.masked_invalid(each[name])
                contours = axes.contourf(coordinates, coordinates, shown, levels=levels, cmap=style.density)
                axes.plot(0, 0, "+", color=style.target, markersize=9)
                axes.set_title(f"{result['flow']}, {label}", fontsize=9)
                axes.tick_params(labelsize=7)
            place = grid[2, column].get_position()
            grid[2, column].remove()
            surface: Any = figure.add_axes((place.x0, place.y0, place.width, place.height), projection="3d")
            x, y = np.meshgrid(coordinates, coordinates)
            lifted = np.minimum(each["all"], top)
            surface.plot_surface(x, y, lifted, cmap=style.density, vmin=0, vmax=levels[-1], linewidth=0)
            surface.set_zlim(0, levels[-1])
            surface.tick_params(labelsize=6, pad=-2)
            surface.set_title(f"{result['flow']}, all parameters", fontsize=9)
        corner, end = grid[1, -1].get_position(), grid[0, -1].get_position()
        bar = figure.add_axes((end.x1 + 0.02, corner.y0, 0.015, end.y1 - corner.y0))
        figure.colorbar(contours, cax=bar, format="%.2g").ax.tick_params(labelsize=7)
        figure.text(0.02, 0.985, "log₁₀(1 + rise of the loss / nats) around trained flows", va="top", fontsize=10)
        return figure

    return Drawing(draw)
