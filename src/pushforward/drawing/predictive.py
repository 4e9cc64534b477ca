"""Predictions of observed numbers in a picture."""

import numpy as np
from matplotlib.figure import Figure

from pushforward.drawing.panels import WIDTH, legend_above, panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.evaluation import Predictive

MOST_NAMED = 12


def predictions(found: Predictive) -> Drawing:
    """Observed numbers as points on the 90% intervals of their predictions, each in units of half its interval."""

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, WIDTH - 0.85, 2.6)
        places = np.arange(len(found.names))
        half = (found.high - found.low) / 2
        half = np.where(half > 0, half, 1.0)
        low, high, observed = ((each - found.median) / half for each in (found.low, found.high, found.observed))
        axes.vlines(places, low, high, color=style.flow, linewidth=max(1.0, min(6.0, 120 / len(places))), alpha=0.5)
        axes.plot(places, np.zeros(len(places)), "_", color=style.flow, label="predicted: median, 90%")
        axes.plot(places, observed, "o", color=style.target, markersize=4, label="observed")
        reach = max(2.0, 1.1 * float(np.abs(observed).max()))
        axes.set(ylim=(-reach, reach), ylabel="in half intervals")
        if len(places) <= MOST_NAMED:
            axes.set_xticks(places, found.names, fontsize=8)
        else:
            axes.set_xlabel("number of the observation")
        legend_above(axes)
        return figure

    return Drawing(draw)
