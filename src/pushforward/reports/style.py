"""How every figure looks, on a light page and on a dark one."""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.colors import Colormap, ListedColormap, to_rgb
from matplotlib.figure import Figure

DPI = 200

# Björn Ottosson, 2020, "A perceptual color space for image processing": linear sRGB -> cone responses, whose cube
# roots a second matrix takes to OKLab.
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OPPONENTS = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab_to_rgb(lab: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    """Lightness in [0, 1] and the two opponent axes to sRGB in [0, 1], clipped where the screen cannot show it."""
    linear = np.clip((lab @ np.linalg.inv(_OPPONENTS).T) ** 3 @ np.linalg.inv(_CONES).T, 0, 1)
    return np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)


def _rgb_to_oklab(rgb: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3"]:
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    return np.cbrt(linear @ _CONES.T) @ _OPPONENTS.T


def uniform_colormap(name: str, colours: Sequence[str]) -> ListedColormap:
    """A colormap through `colours` whose steps are equally long in OKLab, so that equal steps look equal."""
    corners = _rgb_to_oklab(np.array([to_rgb(colour) for colour in colours]))
    position = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(corners, axis=0), axis=1))])
    steps = np.linspace(0, position[-1], 256)
    lab = np.stack([np.interp(steps, position, corners[:, axis]) for axis in range(3)], axis=1)
    return ListedColormap(oklab_to_rgb(lab), name)


@dataclass(frozen=True)
class Style:
    """Colours of a page and of the figures on it.

    Attributes:
        page: background of page and figures.
        panel: background of axes, and of code on the page.
        text: text.
        muted: captions, ticks and less important lines.
        rule: borders and grid lines.
        flow: what belongs to the fitted flow.
        target: what belongs to the target.
        warning: what needs attention.
        density: density 0 has the colour of the page.
        lightness: of colours that stand for places, in OKLab.
    """

    page: str
    panel: str
    text: str
    muted: str
    rule: str
    flow: str
    target: str
    warning: str
    density: Colormap
    lightness: float

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, figures are made in this style; Matplotlib's settings are as before afterwards."""
        settings = {
            "figure.facecolor": self.page,
            "savefig.facecolor": self.page,
            "axes.facecolor": self.page,
            "axes.edgecolor": self.rule,
            "axes.labelcolor": self.text,
            "axes.titlecolor": self.text,
            "axes.titlesize": 11,
            "axes.labelsize": 11,
            "axes.linewidth": 0.8,
            "font.family": "DejaVu Sans",
            "font.size": 11,
            "grid.color": self.rule,
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "legend.fontsize": 10,
            "text.color": self.text,
            "xtick.color": self.rule,
            "xtick.labelcolor": self.muted,
            "xtick.labelsize": 9,
            "ytick.color": self.rule,
            "ytick.labelcolor": self.muted,
            "ytick.labelsize": 9,
        }
        with matplotlib.rc_context(settings):
            yield


LIGHT = Style(
    page="#ffffff",
    panel="#f3f4f7",
    text="#1b1e25",
    muted="#5a6070",
    rule="#c9cdd6",
    flow="#2563b8",
    target="#c2410c",
    warning="#b45309",
    density=uniform_colormap("density-light", ["#ffffff", "#a8d5e8", "#3f86c6", "#40318c", "#1c0b3a"]),
    lightness=0.62,
)
DARK = Style(
    page="#14161b",
    panel="#1f232b",
    text="#e7e9ee",
    muted="#a2a9b8",
    rule="#434956",
    flow="#6eb1ff",
    target="#ffa066",
    warning="#f5b041",
    density=uniform_colormap("density-dark", ["#14161b", "#3d2b85", "#b03c82", "#f58a5b", "#fdf3bd"]),
    lightness=0.75,
)


@dataclass(frozen=True)
class Drawing:
    """A picture whose numbers are computed, to be drawn in any style.

    Attributes:
        draw: makes the figure; it is called with the style applied.
    """

    draw: Callable[[Style], Figure]

    def figure(self, style: Style = LIGHT) -> Figure:
        """The picture as a Matplotlib figure."""
        with style.applied():
            return self.draw(style)

    def png(self, style: Style = LIGHT) -> bytes:
        """The picture as the bytes of a PNG file, 200 pixels an inch."""
        buffer = io.BytesIO()
        with style.applied():
            self.draw(style).savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()
