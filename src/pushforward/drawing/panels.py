"""Panels: axes in a grid, densities on a colour scale, clouds of points and histograms."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import hsv_to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import EngFormatter, MaxNLocator

from pushforward.drawing.style import Drawing, Shown, Style
from pushforward.drawing.surfaces import SAMPLES, highest_density_level
from pushforward.drawing.text import MINUS
from pushforward.quadrature import Box, Grid

Colour = Literal["flow", "target"]

WIDTH = 6.0
SATURATED_MASS = 0.02
MOST_PAIRED = 4
ACROSS = 4
SHORT = EngFormatter(sep="")


def coordinate(index: int) -> str:
    """The name of a dimension, counted from 0."""
    return "z" + str(index + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))


PLANE = coordinate(0), coordinate(1)


def joining(ticks: Sequence[Any]) -> str:
    """The style of lines between what stands at the ticks: what has names has no order, and none."""
    return "none" if isinstance(ticks[0], str) else "-"


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
    figure = Shown(figsize=(figure_width, figure_height))
    placed = {
        "left": left / figure_width,
        "right": 1 - right / figure_width,
        "bottom": bottom / figure_height,
        "top": 1 - top / figure_height,
        "wspace": column_gap / width,
        "hspace": row_gap / height,
    }
    return figure, figure.subplots(rows, columns, sharex=share, sharey=share, squeeze=False, gridspec_kw=placed)


MOST_INTERVALS = 64
"""Dimensions that `intervals` shows."""
INTERVALS = "The middle 90% of the draws as a line, thick over the middle 50%, with the median; the first 64 at most."


def intervals(groups: Sequence[tuple[str, Colour, Float[np.ndarray, "_ D"]]], names: Sequence[str]) -> Drawing:
    """The marginal law of every dimension, up to 64: a line over the middle 90% of the draws, thick over half of them.

    Each dimension is in units of its own: its median and quartiles in the first group are 0 and about -0.7 and 0.7.

    Args:
        groups: what each is called, its colour, and its draws.
        names: of the dimensions.
    """
    shown = min(MOST_INTERVALS, len(names))
    quantiles = [np.nanquantile(draws[:, :shown], (0.05, 0.25, 0.5, 0.75, 0.95), axis=0) for _, _, draws in groups]
    centre, scale = quantiles[0][2], (quantiles[0][3] - quantiles[0][1]) / 1.349
    scale = np.where(scale > 0, scale, 1.0)

    def draw(style: Style) -> Figure:
        left = 0.3 + 0.075 * max(len(name) for name in names[:shown])
        figure, ((axes,),) = panel_grid(1, 1, WIDTH - left, 0.19 * shown + 0.2, left=left)
        for index, ((label, colour, _), values) in enumerate(zip(groups, quantiles)):
            low, quarter, middle, three, high = (values - centre) / scale
            at = np.arange(shown) + (index - (len(groups) - 1) / 2) * 0.36
            ink = getattr(style, colour)
            axes.hlines(at, low, high, color=ink, linewidth=0.9)
            axes.hlines(at, quarter, three, color=ink, linewidth=3, label=label)
            axes.plot(middle, at, linestyle="none", marker="|", markersize=5, color=style.text)
        axes.set(yticks=range(shown), ylim=(shown - 0.4, -0.6), xlabel="robust standard deviations from the median")
        axes.set_yticklabels(names[:shown])
        axes.spines[["top", "right"]].set_visible(False)
        legend_above(axes)
        return figure

    return Drawing(draw)


def dot_size(count: int) -> float:
    """The area of a dot where `count` of them are shown."""
    return min(16.0, 3 * math.pow(SAMPLES / max(count, 1), 0.35))


def few_ticks(axes: Axes) -> None:
    """Ticks that do not run into those of the panel beside it."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, prune="both"))
    short_ticks(axes)


def short_ticks(axes: Axes) -> None:
    """Numbers at ticks in few characters: 240k, 3M."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_short)


def _short(value: float, _: object) -> str:
    return SHORT(value) if abs(value) >= 1e4 else f"{value:g}".replace("-", MINUS)


def legend_above(axes: Axes) -> None:
    """A legend in one line above the axes, where it covers nothing."""
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, borderaxespad=0.2, columnspacing=1.5)


def panel_height(box: Box, width: float) -> float:
    """Height of a panel of a width, for a box shown in its true proportions where these are moderate."""
    (left, right), (bottom, top) = box
    return width * (top - bottom) / (right - left) if aspect(box) == "equal" else width


def aspect(box: Box) -> Literal["equal", "auto"]:
    """Whether a box is shown in its true proportions."""
    (left, right), (bottom, top) = box
    return "equal" if 1 / 3 <= (top - bottom) / (right - left) <= 3 else "auto"


def place_colours(points: Float[np.ndarray, "n 2"], style: Style) -> Float[np.ndarray, "n 3"]:
    """A colour for each point: hue by its direction from the middle of all, saturation by its distance."""
    place = (points - points.mean(axis=0)) / points.std(axis=0)
    hue = np.arctan2(place[:, 1], place[:, 0]) / (2 * np.pi) % 1
    saturation = np.minimum(np.hypot(place[:, 0], place[:, 1]) / 2, 1)
    return hsv_to_rgb(np.column_stack([hue, saturation, np.full(len(hue), style.brightness)]))


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
            short_ticks(axes)
            axes.tick_params(labelbottom=i == shown - 1)
            if i == shown - 1:
                axes.set_xlabel(labels[j], size=label_size)
            if j == 0 and i > 0:
                axes.set_ylabel(labels[i], size=label_size)
        figure.align_labels()
        return figure

    return Drawing(draw)


def marginals(
    after: Float[np.ndarray, "n D"], before: Float[np.ndarray, "m D"], box: Box, labels: Sequence[str]
) -> Drawing:
    """A histogram for each number: bars of one cloud of points, and the outline of another."""
    columns = min(ACROSS, len(labels))
    rows = math.ceil(len(labels) / columns)

    def draw(style: Style) -> Figure:
        size = (WIDTH - 0.3 - 0.15 * (columns - 1)) / columns
        figure, panels = panel_grid(
            rows, columns, size, 0.8 * size, left=0.15, top=0.35, bottom=0.35, row_gap=0.65, column_gap=0.15
        )
        for index, axes in enumerate(panels.flat):
            if index >= len(labels):
                axes.set_visible(False)
                continue
            _bars(axes, after[:, index], box[index], 40, color=style.flow, alpha=0.6)
            _bars(axes, before[:, index], box[index], 40, color=style.target, histtype="step")
            axes.set(yticks=[], xlim=box[index])
            axes.set_title(labels[index], size=9)
            axes.xaxis.set_major_locator(MaxNLocator(3))
            short_ticks(axes)
            axes.tick_params(labelsize=8)
            axes.spines[["top", "right", "left"]].set_visible(False)
        return figure

    return Drawing(draw)


def _bars(axes: Axes, points: Float[np.ndarray, " n"], limits: tuple[float, float], most: int, **look: Any) -> None:
    """A histogram on the scale of a density, of at most `most` bins; of fewer where they would show noise only."""
    bins = min(most, round(3.55 * math.pow(len(points), 1 / 3)))
    height = bins / (len(points) * (limits[1] - limits[0]))
    axes.hist(points, bins=bins, range=limits, weights=np.full(len(points), height), **look)
