"""Pictures of a fitted flow and of how it was trained."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax
import numpy as np
from jaxtyping import Float, Int, PRNGKeyArray
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator

from pushforward.distributions import Pushforward
from pushforward.quadrature import Box, Grid
from pushforward.reports.style import Drawing, Style, blend
from pushforward.reports.surfaces import (
    GRID_SIZE,
    SAMPLES,
    flow_density,
    highest_density_level,
    plot_box,
    quantile_box,
    sample,
    target_density,
    trajectory,
)
from pushforward.reports.text import DASH, MINUS, number
from pushforward.targets import Target

Colour = Literal["flow", "target"]

CONTOUR_GRID_SIZE = 400
SUBPIXELS = 3
WIDTH = 6.0
SATURATED_MASS = 0.02
CONTOUR_MASSES = (0.99, 0.9, 0.5)
TARGET_COLUMN = ("", 0)
MOST_PAIRED = 4
MOST_PANELS = 8
PANELS_A_ROW = 4


def coordinate(index: int) -> str:
    """The name of a dimension, counted from 0."""
    return "z" + str(index + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


PLANE = coordinate(0), coordinate(1)


def densities(target: Target, flow: Pushforward) -> Drawing | None:
    """The target and the fitted density beside each other, on one colour scale; None unless D is 2.

    The scale ends at the density above which 2% of the target's mass lies, so that one spike does not hide the rest.
    """
    if target.dim != 2:
        return None
    box = plot_box(target, flow)
    grid = Grid(box, GRID_SIZE)
    titles = target_title(target), "fitted flow"
    return compared_densities(titles, target_density(target, grid), flow_density(flow, grid, SUBPIXELS), box, PLANE)


def compared_densities(
    titles: tuple[str, str],
    wanted: Float[np.ndarray, "n1 n2"],
    fitted: Float[np.ndarray, "n1 n2"],
    box: Box,
    labels: Sequence[str],
) -> Drawing:
    """Two densities beside each other on the colour scale of the first."""

    def draw(style: Style) -> Figure:
        figure, image = density_pair(titles, wanted, fitted, box, style, labels, margin=0.9)
        colour_bar(figure, image, style, above=bool(max(wanted.max(), np.nanmax(fitted)) > image.norm.vmax))
        return figure

    return Drawing(draw)


def samples(target: Target, flow: Pushforward, key: PRNGKeyArray) -> Drawing:
    """Samples of the flow against the target.

    In 1-D a histogram and the target's density; in 2-D points over the regions of highest density that hold 50%, 90%
    and 99% of the target; else each pair of the first four dimensions, with exact samples where there are any.
    """
    if target.dim == 1:
        return _histogram(target, flow, key)
    if target.dim == 2:
        return _points_over_contours(target, flow, key)
    key_flow, key_target = jax.random.split(key)
    shown = min(MOST_PAIRED, target.dim)
    points = sample(flow, key_flow)[:, :shown]
    exact = None
    if target.sample is not None:
        exact = np.asarray(target.sample(key_target, SAMPLES), np.float64)[:, :shown]
    box = quantile_box(points if exact is None else np.concatenate([points, exact]))
    return pairs(points, exact, box, [coordinate(index) for index in range(shown)])


def loss_curve(
    steps: Int[np.ndarray, " records"],
    losses: Float[np.ndarray, "records members"],
    best: int,
    log_z: float | None,
) -> Drawing:
    """The free energy of every restart over training, with its lower bound `-log Z` where that is known.

    A restart that diverged has NaN from there on. Huge values of the first steps are left outside the axis.
    """

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, WIDTH - 1.25, 2.7, left=0.9, right=0.35)
        others = np.delete(losses, best, axis=1)
        if others.shape[1]:
            lines = axes.plot(steps, others, color=style.muted, alpha=0.45, linewidth=0.9)
            lines[0].set_label("other restarts")
        axes.plot(steps, losses[:, best], color=style.flow, linewidth=1.8, label="best restart")
        if log_z is not None:
            axes.axhline(
                -log_z, color=style.target, linewidth=1.4, linestyle="--", label=f"{MINUS}log Z = {number(-log_z)}"
            )
        axes.set(ylabel="free energy / nats", ylim=_loss_limits(losses, log_z))
        _finish_over_steps(axes, steps)
        return figure

    return Drawing(draw)


def training_curve(
    steps: Int[np.ndarray, " records"],
    training: Float[np.ndarray, "records members"],
    validation: Float[np.ndarray, "records members"],
    best: int,
    best_step: int,
    name: str = f"{MINUS}log-likelihood",
    settled: int = 0,
) -> Drawing:
    """The training and validation loss of every restart, with a mark where the validation loss was lowest.

    What is not finite is left out. Huge values of the first steps are left outside the axis, and so is what training
    has up to the step `settled` where that exceeds the axis of the rest.
    """
    lowest = validation[steps == best_step, best]
    counted = steps > (settled if settled < steps[-1] else 0)
    scale = np.concatenate([training[counted], validation])

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, WIDTH - 1.25, 2.7, left=0.9, right=0.35)
        for part, losses, colour in (("training", training, style.flow), ("validation", validation, style.target)):
            axes.plot(steps, np.delete(losses, best, axis=1), color=colour, alpha=0.35, linewidth=0.9)
            axes.plot(steps, losses[:, best], color=colour, linewidth=1.8, label=part)
        label = f"best step: {best_step:,}"
        mark = {"color": style.text, "marker": "o", "markersize": 6, "linestyle": "none", "zorder": 3}
        axes.plot(np.full(len(lowest), best_step), lowest, clip_on=False, label=label, **mark)
        axes.set(ylabel=f"{name} / nats", ylim=_loss_limits(scale, None))
        _finish_over_steps(axes, steps)
        return figure

    return Drawing(draw)


def layers(flow: Pushforward, key: PRNGKeyArray, labels: Sequence[str] = PLANE) -> Drawing | None:
    """The base pushed layer by layer, at most eight panels; None unless D is 2.

    Each point keeps the colour of its place in the base, so that one sees how space is folded.
    """
    if flow.shape != (2,):
        return None
    points = np.asarray(trajectory(flow, key), np.float64)
    last = len(points) - 1
    shown = np.unique(np.linspace(0, last, min(MOST_PANELS, last + 1)).round().astype(int))
    low, high = np.transpose([quantile_box(panel) for panel in points[shown]], (2, 1, 0))
    box = tuple((float(a.min()), float(b.max())) for a, b in zip(low, high))

    def draw(style: Style) -> Figure:
        columns = min(PANELS_A_ROW, len(shown))
        rows = -(-len(shown) // columns)
        width = (WIDTH - 0.9 - 0.1 * (PANELS_A_ROW - 1)) / PANELS_A_ROW if columns == PANELS_A_ROW else 2.4
        figure, panels = panel_grid(rows, columns, width, panel_height(box, width), share=True)
        colours = place_colours(points[0], style)
        for axes in panels.flat:
            axes.set_visible(False)
        for axes, index in zip(panels.flat, shown):
            axes.set_visible(True)
            axes.scatter(points[index, :, 0], points[index, :, 1], c=colours, s=1.6, linewidths=0, rasterized=True)
            few_ticks(axes)
            axes.set(title="base" if index == 0 else f"layer {index}", xlim=box[0], ylim=box[1], aspect=aspect(box))
        for axes in panels[:, 0]:
            axes.set_ylabel(labels[1])
        for column in range(columns):
            lowest = panels[(len(shown) - 1 - column) // columns, column]
            lowest.set_xlabel(labels[0])
            lowest.tick_params(labelbottom=True)
        return figure

    return Drawing(draw)


def place_colours(points: Float[np.ndarray, "n 2"], style: Style) -> Float[np.ndarray, "n 3"]:
    """A colour for each point: hue by its direction from the middle of all, saturation by its distance."""
    place = (points - points.mean(axis=0)) / points.std(axis=0)
    hue = np.arctan2(place[:, 1], place[:, 0]) / (2 * np.pi) % 1
    saturation = np.minimum(np.hypot(place[:, 0], place[:, 1]) / 2, 1)
    colours: np.ndarray = hsv_to_rgb(np.column_stack([hue, saturation, np.full(len(hue), style.brightness)]))
    return colours


@dataclass(frozen=True)
class StudyFit:
    """One fitted flow of a study.

    Attributes:
        family: heading of its columns.
        length: layers K.
        flow: the fit.
        kl: KL(q || p) in nats, None where there is none.
    """

    family: str
    length: int
    flow: Pushforward
    kl: float | None


@dataclass(frozen=True)
class StudyRow:
    """A target in 2-D and the flows fitted to it."""

    target: Target
    fits: list[StudyFit]


def study_grid(rows: list[StudyRow]) -> Drawing:
    """Targets down, flow families and lengths across, as in R&M 2015, Figure 3; the lowest KL of a row is in bold.

    Every row has one colour scale, that of its target; a fit that a row lacks leaves its place empty.
    """
    columns = list(dict.fromkeys((fit.family, fit.length) for row in rows for fit in row.fits))
    families = list(dict.fromkeys(family for family, _ in columns))
    columns.sort(key=lambda column: families.index(column[0]))
    boxes = [plot_box(row.target, row.fits[0].flow) for row in rows]
    grids = [Grid(box, GRID_SIZE) for box in boxes]
    wanted = [target_density(row.target, grid) for row, grid in zip(rows, grids)]
    fitted = [
        {
            TARGET_COLUMN: density,
            **{(fit.family, fit.length): flow_density(fit.flow, grid, SUBPIXELS) for fit in row.fits},
        }
        for row, grid, density in zip(rows, grids, wanted)
    ]

    def draw(style: Style) -> Figure:
        cell, gap, group, heading, left, below = 1.2, 0.06, 0.22, 0.62, 0.35, 0.3
        starts = [left]
        for before, column in zip([TARGET_COLUMN, *columns], columns):
            starts.append(starts[-1] + cell + (gap if column[0] == before[0] else group))
        cell_heights = [panel_height(box, cell) for box in boxes]
        tops = [heading + sum(cell_heights[:index]) + index * below for index in range(len(rows))]
        width, height = starts[-1] + cell + 0.1, tops[-1] + cell_heights[-1] + below
        figure = Figure(figsize=(width, height))

        def text(x: float, y: float, content: str, **kwargs: Any) -> None:
            figure.text(x / width, 1 - y / height, content, ha="center", va="center", **kwargs)

        text(starts[0] + cell / 2, 0.45, "target", size=11)
        for (_, length), start in zip(columns, starts[1:]):
            text(start + cell / 2, 0.45, f"K = {length}", size=10, color=style.muted)
        for family in families:
            inside = [start for (name, _), start in zip(columns, starts[1:]) if name == family]
            text((inside[0] + inside[-1] + cell) / 2, 0.2, family, size=12, weight="bold")
        for index, (row, box, top, cell_height) in enumerate(zip(rows, boxes, tops, cell_heights)):
            name_size = min(11, 72 * cell_height / (0.65 * len(row.target.name)))
            text(left / 2, top + cell_height / 2, row.target.name, size=name_size, rotation=90)
            kls = {(fit.family, fit.length): fit.kl for fit in row.fits}
            lowest = min((kl for kl in kls.values() if kl is not None), default=None)
            for column, start in zip([TARGET_COLUMN, *columns], starts):
                density = fitted[index].get(column)
                if density is None:
                    continue
                axes = figure.add_axes(
                    (start / width, 1 - (top + cell_height) / height, cell / width, cell_height / height)
                )
                axes.set(xticks=[], yticks=[])
                show_density(axes, density, box, colour_limit(wanted[index]), style)
                if column != TARGET_COLUMN:
                    kl = kls[column]
                    weight = "bold" if kl is not None and kl == lowest else "normal"
                    words = f"KL {DASH}" if kl is None else f"KL {kl:.2g}" if kl < 0.095 else f"KL {kl:.2f}"
                    text(start + cell / 2, top + cell_height + 0.12, words, size=9.5, weight=weight)
        return figure

    return Drawing(draw)


def panel_grid(
    rows: int,
    columns: int,
    width: float,
    height: float,
    *,
    left: float = 0.7,
    right: float = 0.15,
    top: float = 0.4,
    bottom: float = 0.6,
    row_gap: float = 0.35,
    column_gap: float = 0.1,
    share: bool | Literal["col"] = False,
) -> tuple[Figure, np.ndarray]:
    """A figure around a grid of panels of the given size, all in inches, and its axes, `(rows, columns)`.

    Placed by hand: it takes Matplotlib's layout engine longer to find the margins than to draw the figure.
    """
    figure_width = left + columns * width + (columns - 1) * column_gap + right
    figure_height = bottom + rows * height + (rows - 1) * row_gap + top
    figure = Figure(figsize=(figure_width, figure_height))
    placed = {
        "left": left / figure_width,
        "right": 1 - right / figure_width,
        "bottom": bottom / figure_height,
        "top": 1 - top / figure_height,
        "wspace": column_gap / width,
        "hspace": row_gap / height,
    }
    return figure, figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False, gridspec_kw=placed)


def dot_size(count: int) -> float:
    """The area of a dot where `count` of them are shown."""
    return min(16.0, 3 * math.pow(SAMPLES / max(count, 1), 0.35))


def few_ticks(axes: Axes) -> None:
    """Ticks that do not run into those of the panel beside it."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, prune="both"))


def legend_above(axes: Axes) -> None:
    """A legend in one line above the axes, where it covers nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, columnspacing=1.5)


def target_title(target: Target) -> str:
    """The heading of a target's picture, short enough for it."""
    return f"target: {target.name}" if len(target.name) < 20 else "target"


def density_pair(
    titles: tuple[str, str],
    wanted: Float[np.ndarray, "n1 n2"],
    fitted: Float[np.ndarray, "n1 n2"],
    box: Box,
    style: Style,
    labels: Sequence[str] = PLANE,
    margin: float = 0.15,
) -> tuple[Figure, AxesImage]:
    """A figure of a target and a fitted density on the target's colour scale, and the image of the latter.

    `margin` is the space on the right in inches.
    """
    width = (WIDTH - 0.8 - margin) / 2
    figure, ((left, right),) = panel_grid(1, 2, width, panel_height(box, width), right=margin, share=True)
    top = colour_limit(wanted)
    show_density(left, wanted, box, top, style)
    image = show_density(right, fitted, box, top, style)
    few_ticks(left)
    left.set(title=titles[0], xlabel=labels[0], ylabel=labels[1])
    right.set(title=titles[1], xlabel=labels[0])
    return figure, image


def show_density(axes: Axes, density: Float[np.ndarray, "n1 n2"], box: Box, top: float, style: Style) -> AxesImage:
    """The density as an image whose colours end at `top`."""
    (left, right), (bottom, top_edge) = box
    across, up = ((high - low) / (size - 1) / 2 for (low, high), size in zip(box, density.shape))
    image = axes.imshow(
        density.T,
        origin="lower",
        extent=(left - across, right + across, bottom - up, top_edge + up),
        cmap=style.density,
        vmin=0,
        vmax=top,
        aspect=aspect(box),
        interpolation="bilinear",
    )
    axes.set(xlim=box[0], ylim=box[1])
    return image


def colour_bar(figure: Figure, image: AxesImage, style: Style, above: bool = True) -> None:
    """A scale to the right of a density, with a tip where densities exceed it."""
    axes: Any = image.axes
    edge = axes.get_position()
    place = figure.add_axes((edge.x1 + 0.02, edge.y0, 0.018, edge.height))
    bar = figure.colorbar(image, cax=place, extend="max" if above else "neither")
    bar.locator = MaxNLocator(4)
    bar.set_label("density", color=style.muted, size=10)


def colour_limit(density: Float[np.ndarray, "..."]) -> float:
    """Where the colour scale of a target ends."""
    return highest_density_level(density, SATURATED_MASS) or 1.0


def panel_height(box: Box, width: float) -> float:
    """Height of a panel of a width, for a box shown in its true proportions where these are moderate."""
    (left, right), (bottom, top) = box
    return width * (top - bottom) / (right - left) if aspect(box) == "equal" else width


def aspect(box: Box) -> Literal["equal", "auto"]:
    """Whether a box is shown in its true proportions."""
    (left, right), (bottom, top) = box
    return "equal" if 1 / 3 <= (top - bottom) / (right - left) <= 3 else "auto"


def _loss_limits(losses: Float[np.ndarray, "records members"], log_z: float | None) -> tuple[float, float]:
    finite = losses[np.isfinite(losses)]
    low = min(finite.min(), np.inf if log_z is None else -log_z)
    high = min(finite.max(), low + 2 * (np.quantile(finite, 0.95) - low))
    margin = 0.05 * (high - low) or 1.0
    return float(low - margin), float(high + margin)


def _finish_over_steps(axes: Axes, steps: Int[np.ndarray, " records"]) -> None:
    axes.set(xlabel="step", xlim=(0, steps[-1]))
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=True))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(axis="y")
    axes.spines[["top", "right"]].set_visible(False)
    legend_above(axes)


def _histogram(target: Target, flow: Pushforward, key: PRNGKeyArray) -> Drawing:
    grid = Grid(plot_box(target, flow), 1000)
    points, density = sample(flow, key)[:, 0], target_density(target, grid)
    return histogram(points, density, grid, ("fitted flow", "flow"), ("target", "target"), coordinate(0))


def histogram(
    points: Float[np.ndarray, " n"],
    density: Float[np.ndarray, " size"],
    grid: Grid,
    bars: tuple[str, Colour],
    line: tuple[str, Colour],
    label: str,
) -> Drawing:
    """Points as bars and a density on a grid as a line, each with its name and colour."""

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, WIDTH - 0.9, 2.7)
        (limits,) = grid.box
        _bars(axes, points, limits, 60, color=getattr(style, bars[1]), alpha=0.6, label=bars[0])
        axes.plot(grid.axes[0], density, color=getattr(style, line[1]), linewidth=1.8, label=line[0])
        axes.set(xlabel=label, ylabel="density", xlim=limits)
        axes.spines[["top", "right"]].set_visible(False)
        legend_above(axes)
        return figure

    return Drawing(draw)


def _points_over_contours(target: Target, flow: Pushforward, key: PRNGKeyArray) -> Drawing:
    box = plot_box(target, flow)
    grid = Grid(box, CONTOUR_GRID_SIZE)
    density = target_density(target, grid)
    levels = sorted({highest_density_level(density, mass) for mass in CONTOUR_MASSES} - {0.0})
    points = sample(flow, key)

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, 3.9, panel_height(box, 3.9), top=0.15)
        if levels:
            shades = [blend(style.target, style.page, share) for share in (0.16, 0.32, 0.48)[-len(levels) :]]
            axes.contourf(*grid.axes, density.T, levels=[*levels, np.inf], colors=shades)
        axes.scatter(points[:, 0], points[:, 1], color=style.flow, s=2.5, alpha=0.6, linewidths=0)
        axes.set(xlabel=coordinate(0), ylabel=coordinate(1), xlim=box[0], ylim=box[1], aspect=aspect(box))
        return figure

    return Drawing(draw)


def pairs(
    points: Float[np.ndarray, "n D"], exact: Float[np.ndarray, "m D"] | None, box: Box, labels: Sequence[str]
) -> Drawing:
    """Each pair of dimensions: points of the flow below the diagonal, those of the target above, histograms on it."""
    shown = len(labels)
    label_size = 11 if max(map(len, labels)) < 9 else 9

    def draw(style: Style) -> Figure:
        size = (WIDTH - 0.9 - 0.1 * (shown - 1)) / shown
        figure, panels = panel_grid(shown, shown, size, size, top=0.15, row_gap=0.1)
        for (i, j), axes in np.ndenumerate(panels):
            if i == j:
                _bars(axes, points[:, i], box[i], 50, color=style.flow, alpha=0.6)
                if exact is not None:
                    _bars(axes, exact[:, i], box[i], 50, color=style.target, histtype="step")
                axes.set(yticks=[], xlim=box[i])
            elif j < i or exact is not None:
                cloud, colour = (points, style.flow) if exact is None or j < i else (exact, style.target)
                axes.scatter(cloud[:, j], cloud[:, i], color=colour, s=dot_size(len(cloud)), alpha=0.4, linewidths=0)
                axes.set(xlim=box[j], ylim=box[i])
                axes.tick_params(labelleft=j == 0)
            else:
                axes.set_visible(False)
            axes.ticklabel_format(useOffset=False)
            axes.tick_params(labelbottom=i == shown - 1)
            if i == shown - 1:
                axes.set_xlabel(labels[j], size=label_size)
            if j == 0 and i > 0:
                axes.set_ylabel(labels[i], size=label_size)
        figure.align_labels()
        return figure

    return Drawing(draw)


def _bars(axes: Axes, points: Float[np.ndarray, " n"], limits: tuple[float, float], most: int, **look: Any) -> None:
    """A histogram on the scale of a density, of at most `most` bins; of fewer where they would show noise only."""
    bins = min(most, round(3.55 * math.pow(len(points), 1 / 3)))
    height = bins / (len(points) * (limits[1] - limits[0]))
    axes.hist(points, bins=bins, range=limits, weights=np.full(len(points), height), **look)
