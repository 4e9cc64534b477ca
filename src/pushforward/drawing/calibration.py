"""Calibration in pictures: ranks, and what intervals hold."""

import numpy as np
import scipy
from jaxtyping import Float
from matplotlib.figure import Figure

from pushforward.drawing.panels import ACROSS, WIDTH, panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.evaluation import Calibration

BINS, MOST_SHOWN, LEVELS = 20, 12, np.linspace(0, 1, 41)


def ranks(found: Calibration) -> Drawing:
    """Histograms of the ranks, and the band in which 99% of the bars are where they are uniform."""

    def draw(style: Style) -> Figure:
        names = found.names[:MOST_SHOWN]
        across = min(len(names), ACROSS)
        rows = -(-len(names) // across)
        width = (WIDTH - 0.8 - 0.25 * (across - 1)) / across
        figure, axes = panel_grid(rows, across, width, 1.1, left=0.5, column_gap=0.25, row_gap=0.45, bottom=0.5)
        low, high = scipy.stats.binom(len(found.ranks), 1 / BINS).ppf([0.005, 0.995])
        for panel, name, values in zip(axes.ravel(), names, found.ranks.T):
            panel.axhspan(low, high, color=style.panel)
            panel.hist(values, np.linspace(0, 1, BINS + 1), color=style.flow)
            panel.set_title(name.replace("$", r"\$"), fontsize=9)
            panel.set(xlim=(0, 1), xticks=[0, 0.5, 1], xticklabels=["0", "½", "1"], yticks=[])
            panel.spines[["top", "right", "left"]].set_visible(False)
        for panel in axes.ravel()[len(names) :]:
            panel.set_visible(False)
        for panel in axes[-1]:
            panel.set_xlabel("rank", fontsize=9)
        return figure

    return Drawing(draw)


def coverages(found: Calibration) -> Drawing:
    """What intervals hold against what they promise, a line a name."""

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, 3.2, 3.2, left=0.8, right=1.9)
        margin = scipy.stats.norm.ppf(0.995) * np.sqrt(LEVELS * (1 - LEVELS) / len(found.ranks))
        axes.fill_between(LEVELS, LEVELS - margin, LEVELS + margin, color=style.panel)
        axes.plot([0, 1], [0, 1], color=style.muted, linewidth=0.8)
        for index, name in enumerate(found.names[:MOST_SHOWN]):
            axes.plot(LEVELS, held(found, name), color=f"C{index % 10}", linewidth=1.2, label=name.replace("$", r"\$"))
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="what an interval promises", ylabel="what it holds")
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
        return figure

    return Drawing(draw)


def held(found: Calibration, name: str) -> Float[np.ndarray, " levels"]:
    """The share of the cases that intervals of each level hold."""
    return np.array([found.holds(name, level)[0] for level in LEVELS])
