"""A flow beside the data that it was trained on, in pictures."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pushforward.data import Dataset
from pushforward.distributions import Distribution
from pushforward.drawing import panels
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.surfaces import GRID_SIZE, SUBPIXELS, flow_density, quantile_box
from pushforward.quadrature import Box, Grid

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def labels(data: Dataset, longest: int = 24) -> list[str]:
    """The names of the columns, the middle of long ones left out, as Matplotlib takes them."""
    names = [" ".join(column.split()) for column in data.columns]
    half = longest // 2
    short = [name if len(name) <= longest else f"{name[:half]}…{name[-half:]}" for name in names]
    return [name.replace("$", r"\$") for name in short]


def histogram(data: Dataset, flow: Distribution) -> Drawing:
    """The test rows as bars and the density of the flow as a line, in 1-D."""
    rows = np.asarray(data.test, np.float64)
    grid = Grid(quantile_box(data.train), 1000)
    density = flow_density(flow, grid)
    return panels.histogram(
        rows[:, 0], density, grid, ("test rows", "target"), ("fitted flow", "flow"), labels(data)[0]
    )


def histograms(data: Dataset, points: Float[np.ndarray, "n 1"]) -> Drawing:
    """Test rows and samples of the flow, in 1-D."""
    (box,) = quantile_box(data.train)

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panels.panel_grid(1, 1, panels.WIDTH - 0.85, 3.0)
        bins = np.linspace(*box, 41)
        for values, colour, label in ((data.test, style.target, "test rows"), (points, style.flow, "flow")):
            axes.hist(values[:, 0], bins, density=True, histtype="step", color=colour, label=label, linewidth=1.5)
        axes.set(xlabel=labels(data)[0], ylabel="density", xlim=box)
        panels.legend_above(axes)
        return figure

    return Drawing(draw)


def densities(data: Dataset, flow: Distribution) -> Drawing:
    """The true density, or the test rows where it is not known, and the fitted density beside it, in 2-D."""
    box = quantile_box(data.train)
    grid = Grid(box, GRID_SIZE)
    fitted = flow_density(flow, grid, SUBPIXELS)
    if data.log_density is None:
        return _rows_beside_density(data.test, fitted, box, labels(data))
    log_density = jax.jit(jax.vmap(jax.vmap(data.log_density)))(jnp.asarray(grid.points, jnp.result_type(float)))
    titles = "true density", "fitted flow"
    return panels.compared_densities(titles, np.exp(np.asarray(log_density, np.float64)), fitted, box, labels(data))


def clouds(data: Dataset, points: Float[np.ndarray, "n 2"], model: str = "flow") -> Drawing:
    """Test rows and samples of the flow, or of another model, beside each other, as points."""
    box, names, rows = quantile_box(data.train), labels(data), data.test[: len(points)]

    def draw(style: Style) -> Figure:
        figure, (left, right) = _two_panels(box, names)
        _scatter(left, rows, style.target, "test rows", box)
        _scatter(right, points, style.flow, f"samples of the {model}", box)
        return figure

    return Drawing(draw)


def column_pairs(data: Dataset, points: Float[np.ndarray, "n D"]) -> Drawing:
    """Pairs of the first four columns: samples of the flow below the diagonal, test rows above it.

    Columns of very large or small numbers are shown as multiples of a power of ten.
    """
    shown = slice(panels.MOST_PAIRED)
    box = np.array(quantile_box(data.train[:, shown]))
    powers = np.floor(np.log10(np.abs(box).max(axis=1)))
    powers = np.where((powers < -2) | (powers > 3), powers, 0)
    names = [
        f"{name} / 10{str(int(power)).translate(SUPERSCRIPTS)}" if power else name
        for name, power in zip(labels(data, 10 if powers.any() else 16), powers)
    ]
    limits = tuple((float(low), float(high)) for low, high in box / 10 ** powers[:, None])
    rows = np.asarray(data.test[: len(points), shown], np.float64)
    return panels.pairs(points[:, shown] / 10**powers, rows / 10**powers, limits, names)


def marginals(data: Dataset, points: Float[np.ndarray, "n D"]) -> Drawing | None:
    """Every column of the test rows and of samples of the flow; None where `column_pairs` shows them all."""
    if data.shape[0] <= panels.MOST_PAIRED:
        return None
    rows = np.asarray(data.test[: len(points)], np.float64)
    return panels.intervals([("test rows", "target", rows), ("samples of the flow", "flow", points)], labels(data, 16))


def _rows_beside_density(
    rows: Float[np.ndarray, "n 2"], fitted: Float[np.ndarray, "n1 n2"], box: Box, names: Sequence[str]
) -> Drawing:
    def draw(style: Style) -> Figure:
        figure, (left, right) = _two_panels(box, names, margin=0.9)
        _scatter(left, rows, style.target, "test rows", box)
        image = panels.show_density(right, fitted, box, panels.colour_limit(np.nan_to_num(fitted)), style)
        right.set(title="fitted flow")
        panels.colour_bar(figure, image, style)
        return figure

    return Drawing(draw)


def _scatter(axes: Axes, points: Float[np.ndarray, "n 2"], colour: str, title: str, box: Box) -> None:
    axes.scatter(points[:, 0], points[:, 1], color=colour, s=panels.dot_size(len(points)), alpha=0.6, linewidths=0)
    axes.set(title=title, aspect=panels.aspect(box))


def _two_panels(box: Box, names: Sequence[str], margin: float = 0.15) -> tuple[Figure, list[Axes]]:
    width = (panels.WIDTH - 0.8 - margin) / 2
    height = panels.panel_height(box, width)
    figure, ((left, right),) = panels.panel_grid(1, 2, width, height, right=margin, share=True)
    panels.few_ticks(left)
    left.set(xlabel=names[0], ylabel=names[1], xlim=box[0], ylim=box[1])
    right.set(xlabel=names[0])
    return figure, [left, right]
