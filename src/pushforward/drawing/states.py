"""Densities of states in pictures."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pushforward.drawing.panels import panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.states import DensityOfStates

EXACT_BINS, MOST_BINS = 240, 60
WRITTEN_MASS = 0.05


def curves(laws: Sequence[tuple[str, DensityOfStates]]) -> Drawing:
    """Densities of log p, mean in each bin, since it may be infinite; atoms as stems with a dot at their mass."""

    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, 5.2, 2.8, left=0.8, right=0.8, top=0.7, bottom=0.7)
        masses = axes.twinx()
        colours = [style.target, style.flow][-len(laws) :]
        shown = False
        for (label, law), colour in zip(laws, colours):
            if law.continuous is not None:
                edges, density = law.histogram(_bins(law.sample_size))
                axes.stairs(density, edges, color=colour, label=label, fill=True, alpha=0.25)
                axes.stairs(density, edges, color=colour)
            places = np.isfinite(law.positions)
            if places.any():
                shown = True
                name = f"{label}: atoms" if law.continuous is not None else f"{label}: atom"
                stems(masses, law.positions[places], law.masses[places], colour, name)
        axes.set(xlabel="log p(x) / nats", ylabel="density / nats⁻¹", ylim=(0, None))
        axes.grid(axis="y")
        masses.set_ylim(0, 1.2)
        masses.set_ylabel("mass of atoms")
        masses.set_visible(shown)
        for each in (axes, masses):
            each.spines[["top"]].set_visible(False)
        handles = [*axes.get_legend_handles_labels()[0], *masses.get_legend_handles_labels()[0]]
        figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.08, 1.0), ncols=2)
        return figure

    return Drawing(draw)


def stems(
    axes: Axes,
    positions: Float[np.ndarray, " k"],
    masses: Float[np.ndarray, " k"],
    colour: str,
    label: str,
    small: bool = False,
) -> None:
    """Atoms as stems with a dot at their mass, which is written beside those that are not tiny."""
    axes.vlines(positions, 0, masses, color=colour, linewidth=1 if small else 2)
    axes.plot(positions, masses, "o", color=colour, markersize=3 if small else 6, label=label)
    for position, mass in zip(positions, masses):
        if mass >= WRITTEN_MASS:
            place: Any = {"xytext": (0, 3 if small else 6), "textcoords": "offset points", "ha": "center"}
            axes.annotate(f"{mass:.2f}", (position, mass), color=colour, fontsize=6 if small else 9, **place)


def _bins(sample_size: int | None) -> int:
    """Fewer of few samples, of which more bins would show noise only."""
    return EXACT_BINS if sample_size is None else min(MOST_BINS, round(3.55 * math.pow(sample_size, 1 / 3)))
