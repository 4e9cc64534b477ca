"""Images in mosaics."""

import math
from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.figure import Figure

from pushforward.drawing.panels import WIDTH, panel_grid
from pushforward.drawing.style import Drawing, Style

IMAGES_A_SIDE = 8


def image_grids(images: UInt8[np.ndarray, "test H W C"], points: Float[np.ndarray, "n H W C"], levels: int) -> Drawing:
    """Test images beside samples of the flow, both in the grey levels of the data."""
    sampled = np.clip(np.floor(np.nan_to_num(points) * levels), 0, levels - 1)
    return mosaics({"test images": images / (levels - 1), "samples of the flow": sampled / (levels - 1)})


def mosaics(panels: Mapping[str, Float[np.ndarray, "n H W C"]]) -> Drawing:
    """Mosaics of at most 64 images in rows of eight beside each other, under their titles; 0 is black, 1 is white."""
    tiled = {title: arranged(tiles(images[: IMAGES_A_SIDE**2]), IMAGES_A_SIDE) for title, images in panels.items()}

    def draw(style: Style) -> Figure:
        height, width, _ = next(iter(panels.values())).shape[1:]
        side = (WIDTH - 0.2 - 0.1 * (len(tiled) - 1)) / len(tiled)
        figure, (row,) = panel_grid(1, len(tiled), side, side * height / width, left=0.1, right=0.1, bottom=0.1)
        for axes, (title, mosaic) in zip(row, tiled.items()):
            axes.imshow(mosaic, aspect="auto")
            axes.set(title=title)
            axes.set_axis_off()
        return figure

    return Drawing(draw)


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
