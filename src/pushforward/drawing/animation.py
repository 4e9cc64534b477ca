"""Training as a moving picture."""

import io
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from pushforward.distributions import Pushforward
from pushforward.drawing.flows import target_title
from pushforward.drawing.panels import density_pair
from pushforward.drawing.style import Style, blend
from pushforward.drawing.surfaces import GRID_SIZE, flow_density, plot_box, target_density
from pushforward.quadrature import Grid
from pushforward.targets import Target

PIXELS_PER_INCH = 100
FRAME_MILLISECONDS = 120
LAST_MILLISECONDS = 2500


def density_animation(target: Target, flows: list[tuple[int, Pushforward]], *styles: Style) -> list[bytes]:
    """The fitted density beside the target in 2-D, a frame for each `(step, flow)`, looping: a GIF file for each style.

    The flows are one flow at several steps of its training; the colour scale is that of `drawing.flows.densities`.
    """
    box = plot_box(target, flows[-1][1])
    grid = Grid(box, GRID_SIZE)
    wanted = target_density(target, grid)
    fitted = [flow_density(flow, grid) for _, flow in flows]
    steps = [step for step, _ in flows]

    def drawn(style: Style) -> bytes:
        titles = target_title(target), f"step {steps[0]:,}"
        figure, image = density_pair(titles, wanted, fitted[0], box, style)
        figure.set_dpi(PIXELS_PER_INCH)
        canvas: Any = FigureCanvasAgg(figure)
        axes: Any = image.axes
        # Only the fitted density and the step change: the rest is drawn once.
        for artist in (image, axes.title):
            artist.set_animated(True)
        canvas.draw()
        still = canvas.copy_from_bbox(figure.bbox)
        frames = []
        for step, density in zip(steps, fitted):
            canvas.restore_region(still)
            image.set_data(density.T)
            axes.title.set_text(f"step {step:,}")
            for artist in (image, *axes.spines.values(), axes.title):
                axes.draw_artist(artist)
            frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
        return _gif(frames, style)

    files = []
    for style in styles:
        with style.applied():
            files.append(drawn(style))
    return files


def _gif(frames: list[Image.Image], style: Style) -> bytes:
    inks = [
        blend(ink, style.page, share)
        for ink in (style.text, style.muted, style.rule)
        for share in np.linspace(0, 1, 12)
    ]
    colours = np.concatenate([style.density(np.linspace(0, 1, 128))[:, :3], inks])
    palette = Image.new("P", (1, 1))
    palette.putpalette((255 * colours).round().astype(np.uint8).tobytes())
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME_MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS]
    file = io.BytesIO()
    indexed[0].save(file, "GIF", save_all=True, append_images=indexed[1:], duration=durations, loop=0)
    return file.getvalue()
