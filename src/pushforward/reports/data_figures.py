"""Pictures of a flow beside the data that it was trained on."""

import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pushforward.data import Dataset
from pushforward.distributions import Distribution
from pushforward.quadrature import Box, Grid
from pushforward.reports import figures
from pushforward.reports.style import Drawing, Style
from pushforward.reports.surfaces import GRID_SIZE, flow_density, quantile_box

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
IMAGES_A_SIDE = 8


def labels(data: Dataset, longest: int = 24) -> list[str]:
    """The names of the columns, the middle of long ones left out, as Matplotlib takes them."""
    names = [" ".join(column.split()) for column in data.columns]
    half = longest // 2
    short = [name if len(name) <= longest else f"{name[:half]}…{name[-half:]}" for name in names]
    return [name.replace("$", r"\$") for name in short]


def data_histogram(data: Dataset, flow: Distribution) -> Drawing:
    """The test rows as bars and the density of the flow as a line, in 1-D."""
    rows = np.asarray(data.test, np.float64)
    grid = Grid(quantile_box(data.train), 1000)
    density = flow_density(flow, grid)
    return figures.histogram(
        rows[:, 0], density, grid, ("test rows", "target"), ("fitted flow", "flow"), labels(data)[0]
    )


def densities(data: Dataset, flow: Distribution) -> Drawing:
    """The true density, or the test rows where it is not known, and the fitted density beside it, in 2-D."""
    box = quantile_box(data.train)
    grid = Grid(box, GRID_SIZE)
    fitted = flow_density(flow, grid, figures.SUBPIXELS)
    if data.log_density is None:
        return _rows_beside_density(data.test, fitted, box, labels(data))
    log_density = jax.jit(jax.vmap(jax.vmap(data.log_density)))(jnp.asarray(grid.points, jnp.result_type(float)))
    titles = "true density", "fitted flow"
    return figures.compared_densities(titles, np.exp(np.asarray(log_density, np.float64)), fitted, box, labels(data))


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
    shown = slice(figures.MOST_PAIRED)
    box = np.array(quantile_box(data.train[:, shown]))
    powers = np.floor(np.log10(np.abs(box).max(axis=1)))
    powers = np.where((powers < -2) | (powers > 3), powers, 0)
    names = [
        f"{name} / 10{str(int(power)).translate(SUPERSCRIPTS)}" if power else name
        for name, power in zip(labels(data, 10 if powers.any() else 16), powers)
    ]
    limits = tuple((float(low), float(high)) for low, high in box / 10 ** powers[:, None])
    rows = np.asarray(data.test[: len(points), shown], np.float64)
    return figures.pairs(points[:, shown] / 10**powers, rows / 10**powers, limits, names)


def image_grids(images: UInt8[np.ndarray, "test H W C"], points: Float[np.ndarray, "n H W C"], levels: int) -> Drawing:
    """Test images beside samples of the flow, both in the grey levels of the data."""
    sampled = np.clip(np.floor(np.nan_to_num(points) * levels), 0, levels - 1)
    return mosaics({"test images": images / (levels - 1), "samples of the flow": sampled / (levels - 1)})


def mosaics(panels: Mapping[str, Float[np.ndarray, "n H W C"]]) -> Drawing:
    """Mosaics of at most 64 images in rows of eight beside each other, under their titles; 0 is black, 1 is white."""
    tiled = {title: arranged(tiles(images[: IMAGES_A_SIDE**2]), IMAGES_A_SIDE) for title, images in panels.items()}

    def draw(style: Style) -> Figure:
        height, width, _ = next(iter(panels.values())).shape[1:]
        side = (figures.WIDTH - 0.2 - 0.1 * (len(tiled) - 1)) / len(tiled)
        figure, (row,) = figures.panel_grid(1, len(tiled), side, side * height / width, left=0.1, right=0.1, bottom=0.1)
        for axes, (title, mosaic) in zip(row, tiled.items()):
            axes.imshow(mosaic, aspect="auto")
            axes.set(title=title)
            axes.set_axis_off()
        return figure

    return Drawing(draw)


def _rows_beside_density(
    rows: Float[np.ndarray, "n 2"], fitted: Float[np.ndarray, "n1 n2"], box: Box, names: Sequence[str]
) -> Drawing:
    def draw(style: Style) -> Figure:
        figure, (left, right) = _two_panels(box, names, margin=0.9)
        _scatter(left, rows, style.target, "test rows", box)
        image = figures.show_density(right, fitted, box, figures.colour_limit(np.nan_to_num(fitted)), style)
        right.set(title="fitted flow")
        figures.colour_bar(figure, image, style)
        return figure

    return Drawing(draw)


def _scatter(axes: Axes, points: Float[np.ndarray, "n 2"], colour: str, title: str, box: Box) -> None:
    axes.scatter(points[:, 0], points[:, 1], color=colour, s=figures.dot_size(len(points)), alpha=0.6, linewidths=0)
    axes.set(title=title, aspect=figures.aspect(box))


def _two_panels(box: Box, names: Sequence[str], margin: float = 0.15) -> tuple[Figure, list[Axes]]:
    width = (figures.WIDTH - 0.8 - margin) / 2
    height = figures.panel_height(box, width)
    figure, ((left, right),) = figures.panel_grid(1, 2, width, height, right=margin, share=True)
    figures.few_ticks(left)
    left.set(xlabel=names[0], ylabel=names[1], xlim=box[0], ylim=box[1])
    right.set(xlabel=names[0])
    return figure, [left, right]


def tiles(images: Float[np.ndarray, "n H W C"]) -> Float[np.ndarray, "n H W 4"]:
    """Grey or colour images as opaque colours."""
    coloured = np.ones((*images.shape[:3], 4))
    coloured[..., :3] = np.clip(np.nan_to_num(images), 0, 1)
    return coloured


def arranged(
    images: Float[np.ndarray, "n H W 4"], columns: int, rows: int = IMAGES_A_SIDE, gaps: int = 1
) -> Float[np.ndarray, "height width 4"]:
    """Images in a grid, transparent between them; `gaps` times a sixteenth of their height apart."""
    count, height, width, channels = images.shape
    gap = gaps * gap_of(height)
    cells = np.zeros((rows * columns, height + gap, width + gap, channels))
    cells[:count, :height, :width] = images
    lines = cells.reshape(rows, columns, *cells.shape[1:]).swapaxes(1, 2)
    return lines.reshape(rows * (height + gap), -1, channels)[:-gap, :-gap]


def gap_of(height: int) -> int:
    """Pixels between images of a height."""
    return math.ceil(height / 16)
