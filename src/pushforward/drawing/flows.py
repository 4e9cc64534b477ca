"""A flow in pictures, beside the target that it was fitted to."""

from collections.abc import Sequence

import jax
import numpy as np
from matplotlib.figure import Figure

from pushforward.distributions import Pushforward
from pushforward.drawing.panels import (
    MOST_PAIRED,
    PLANE,
    WIDTH,
    Colour,
    aspect,
    compared_densities,
    coordinate,
    few_ticks,
    histogram,
    intervals,
    pairs,
    panel_grid,
    panel_height,
    place_colours,
)
from pushforward.drawing.style import Drawing, Style, blend
from pushforward.drawing.surfaces import (
    GRID_SIZE,
    SAMPLES,
    SUBPIXELS,
    flow_density,
    highest_density_level,
    plot_box,
    quantile_box,
    sample,
    target_density,
    trajectory,
)
from pushforward.quadrature import Grid
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray

CONTOUR_GRID_SIZE = 400
CONTOUR_MASSES = (0.99, 0.9, 0.5)
MOST_PANELS = 8
PANELS_A_ROW = 4


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


def marginals(target: Target, flow: Pushforward, key: PRNGKeyArray) -> Drawing | None:
    """Every dimension of samples of the flow, and of the target where it can be drawn from; None up to four of them."""
    if target.dim <= MOST_PAIRED:
        return None
    key_flow, key_target = jax.random.split(key)
    groups: list[tuple[str, Colour, np.ndarray]] = [("samples of the flow", "flow", sample(flow, key_flow))]
    if target.sample is not None:
        exact = np.asarray(target.sample(key_target, SAMPLES), np.float64)
        groups.insert(0, ("exact samples", "target", exact))
    return intervals(groups, [coordinate(index) for index in range(target.dim)])


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


def target_title(target: Target) -> str:
    """The heading of a target's picture, short enough for it."""
    return f"target: {target.name}" if len(target.name) < 20 else "target"


def _histogram(target: Target, flow: Pushforward, key: PRNGKeyArray) -> Drawing:
    grid = Grid(plot_box(target, flow), 1000)
    points, density = sample(flow, key)[:, 0], target_density(target, grid)
    return histogram(points, density, grid, ("fitted flow", "flow"), ("target", "target"), coordinate(0))


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
