"""The figures of a sweep."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pushforward.drawing.panels import WIDTH, panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.experiments.registry import Measure
from pushforward.experiments.runs import METRICS
from pushforward.sweeps.grid import SEED
from pushforward.sweeps.grid import Axes as Grid
from pushforward.sweeps.sweep import Swept

MOST_LINES, LINE = 8, 80
NAME = "run"
"""The axis of runs that were not made together, which none of their settings is."""


def measured_over(axes: Grid, runs: Sequence[Swept], measure: Measure) -> Drawing | None:
    """A measure against the setting with the most values, seeds aside; a colour for each combination of the others.

    Numbers come before words, and only they are joined by lines.

    Args:
        axes: the settings that vary.
        runs: finished ones.
        measure: of them.
    """
    names = [name for name in axes if name not in (SEED, NAME)] or [NAME if NAME in axes else SEED]
    along = max(names, key=lambda name: (_are_numbers(axes[name]), len(axes[name])))
    joined = _are_numbers(axes[along])
    others = [name for name in names if name != along]
    places = {word: index for index, word in enumerate(_ordered(runs, along))}
    lines: dict[str, list[Swept]] = {}
    for run in runs:
        lines.setdefault(", ".join(f"{name} {run.varied[name]}" for name in others), []).append(run)

    def draw(style: Style) -> Figure:
        figure, panel = _panel(list(lines))
        for (label, members), colour in zip(lines.items(), _colours(style, len(lines))):
            found = [(places[run.varied[along]], *measure.of(run.result)) for run in members]
            known = sorted((x, y, error or 0.0) for x, y, error in found if y is not None)
            if not known:
                continue
            x, y, error = np.array(known).T
            means = [(place, y[x == place].mean()) for place in np.unique(x)]
            panel.plot(*np.transpose(means), color=colour, linewidth=1.4 if joined else 0)
            panel.errorbar(
                x, y, error, color=colour, linestyle="none", marker="o", markersize=4, elinewidth=1, label=label
            )
        panel.set_xticks(range(len(places)), list(places))
        panel.set(xlabel=along, ylabel=measure.label, xlim=(-0.3, len(places) - 0.7))
        _finish(panel, list(lines))
        return figure

    return Drawing(draw) if any(measure.of(run.result)[0] is not None for run in runs) else None


def losses(runs: Sequence[Swept]) -> Drawing | None:
    """The loss of every run over training, that of its best restart.

    Args:
        runs: finished ones; those without records of steps are left out.
    """
    curves: dict[str, np.ndarray] = {}
    for run in runs:
        best = run.result.get("best_restart", 0)
        records = [] if run.run is None or not (run.run.folder / METRICS).is_file() else run.run.metrics
        points = [(each["step"], each["loss"][best]) for each in records if "loss" in each]
        known = [(step, loss) for step, loss in points if loss is not None]
        if len(known) > 1:
            curves[_label(run)] = np.array(known, float).T
    if not curves:
        return None
    values = np.concatenate([curve[1] for curve in curves.values()])
    low, high = values.min(), min(values.max(), values.min() + 2 * (np.quantile(values, 0.95) - values.min()))
    margin = 0.05 * (high - low) or 1.0

    def draw(style: Style) -> Figure:
        figure, panel = _panel(list(curves))
        for (label, (steps, loss)), colour in zip(curves.items(), _colours(style, len(curves))):
            panel.plot(steps, loss, color=colour, linewidth=1.2, label=label)
        panel.set(xlabel="step", ylabel="loss / nats", ylim=(low - margin, high + margin))
        panel.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 2.5, 5, 10], integer=True))
        panel.xaxis.set_major_formatter("{x:,.0f}")
        _finish(panel, list(curves))
        return figure

    return Drawing(draw)


def _label(run: Swept) -> str:
    return run.name if NAME in run.varied else ", ".join(f"{name} {value}" for name, value in run.varied.items())


def _ordered(runs: Sequence[Swept], name: str) -> list[str]:
    """The values of a setting: numbers by size, words as they come."""
    words = list(dict.fromkeys(run.varied[name] for run in runs))
    return sorted(words, key=float) if _are_numbers(words) else words


def _are_numbers(words: Sequence[str]) -> bool:
    try:
        return bool([float(word) for word in words])
    except ValueError:
        return False


def _panel(labels: Sequence[str]) -> tuple[Figure, Axes]:
    """A panel with room above it for the labels of its lines, where they are few enough to have any."""
    columns, named = _columns(labels), MOST_LINES >= len(labels) > 1
    rows = -(-len(labels) // columns) if named else 1
    figure, ((panel,),) = panel_grid(1, 1, WIDTH - 1.25, 3.0, left=0.9, right=0.35, top=0.2 + 0.22 * rows)
    return figure, panel


def _columns(labels: Sequence[str]) -> int:
    """Columns of the legend that the longest label leaves room for."""
    return max(1, min(4, LINE // (max(map(len, labels)) + 6)))


def _colours(style: Style, count: int) -> np.ndarray:
    """Colours of lines in order, that are told from the page."""
    return colormaps["viridis"](np.linspace(style.brightness - 0.75, style.brightness, max(count, 2)))[:count]


def _finish(panel: Axes, labels: Sequence[str]) -> None:
    panel.grid(axis="y")
    panel.spines[["top", "right"]].set_visible(False)
    if MOST_LINES >= len(labels) > 1:
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=_columns(labels), borderaxespad=0.2)
