"""Training as a moving picture."""

from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from pushforward.distributions import Pushforward
from pushforward.quadrature import Grid
from pushforward.reports.figures import colour_limit, coordinate, panel_height, show_density
from pushforward.reports.style import DARK
from pushforward.reports.surfaces import flow_densities, plot_box, target_density
from pushforward.targets import Target

GRID_SIZE = 120
PIXELS_PER_INCH = 100
FRAME_MILLISECONDS = 120
LAST_MILLISECONDS = 2500
COLOURS = 96


def density_animation(target: Target, flows: list[tuple[int, Pushforward]], path: Path) -> None:
    """Write a GIF of the fitted density beside the target in 2-D, a frame for each `(step, flow)`, looping.

    The flows are one flow at several steps of its training; the colour scale is that of `figures.densities`.
    """
    box = plot_box(target, flows[-1][1])
    grid = Grid(box, GRID_SIZE)
    wanted = target_density(target, grid)
    fitted = flow_densities([flow for _, flow in flows], grid)
    top = colour_limit(wanted)
    with DARK.applied():
        figure = Figure(figsize=(6.6, panel_height(box, 2.8) + 0.85), dpi=PIXELS_PER_INCH, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, sharex=True, sharey=True)
        show_density(left, wanted, box, top, DARK)
        image = show_density(right, fitted[-1], box, top, DARK)
        left.set(title=f"target: {target.name}", xlabel=coordinate(0), ylabel=coordinate(1))
        right.set(xlabel=coordinate(0))
        title = right.set_title(f"step {flows[-1][0]:,}")
        figure.draw_without_rendering()
        figure.set_layout_engine("none")

        # Only the fitted density and the step change: the rest is drawn once.
        for artist in (image, title):
            artist.set_animated(True)
        canvas.draw()
        still = canvas.copy_from_bbox(figure.bbox)
        frames = []
        for (step, _), density in zip(flows, fitted):
            canvas.restore_region(still)
            image.set_data(density.T)
            title.set_text(f"step {step:,}")
            for artist in (image, title):
                right.draw_artist(artist)
            frames.append(Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy()))
    _write_gif(frames, path)


def _write_gif(frames: list[Image.Image], path: Path) -> None:
    last = frames[-1]
    middle = frames[len(frames) // 2]
    both = Image.new("RGB", (last.width, 2 * last.height))
    both.paste(middle, (0, 0))
    both.paste(last, (0, last.height))
    palette = both.quantize(COLOURS)
    indexed = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    durations = [FRAME_MILLISECONDS] * (len(frames) - 1) + [LAST_MILLISECONDS]
    indexed[0].save(path, save_all=True, append_images=indexed[1:], duration=durations, loop=0)
