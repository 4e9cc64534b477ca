"""How every figure looks, on a light page and on a dark one."""

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.colors import Colormap, LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure

DPI = 200


def blend(colour: str, background: str, share: float) -> tuple[float, float, float]:
    """A colour laid over a background with the opacity `share`."""
    red, green, blue = (share * a + (1 - share) * b for a, b in zip(to_rgb(colour), to_rgb(background)))
    return red, green, blue


class Shown(Figure):
    """A figure that a notebook shows without pyplot."""

    def _repr_png_(self) -> bytes:
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=DPI / 2)
        return file.getvalue()


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
        brightness: of colours that stand for places, from 0 to 1.
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
    brightness: float

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within it, figures are made in this style; Matplotlib's settings are as before afterwards."""
        settings: Any = {
            "figure.facecolor": self.page,
            "savefig.facecolor": self.page,
            "axes.facecolor": self.page,
            "axes.edgecolor": self.rule,
            "axes.labelcolor": self.text,
            "axes.titlecolor": self.text,
            "axes.titlesize": 11,
            "axes.labelsize": 11,
            "axes.linewidth": 0.8,
            **{f"axes3d.{axis}axis.panecolor": self.panel for axis in "xyz"},
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
    density=LinearSegmentedColormap.from_list("density-light", ["#ffffff", "#a8d5e8", "#3f86c6", "#40318c", "#1c0b3a"]),
    brightness=0.8,
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
    density=LinearSegmentedColormap.from_list("density-dark", ["#14161b", "#3d2b85", "#b03c82", "#f58a5b", "#fdf3bd"]),
    brightness=0.95,
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
