"""The figures of a study of densities of states."""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import StepPatch
from matplotlib.ticker import MaxNLocator, SymmetricalLogLocator

from pushforward.drawing.panels import joining, panel_grid
from pushforward.drawing.states import stems
from pushforward.drawing.style import Drawing, Style

Row = dict[str, Any]
Key = tuple[Any, ...]

LABELS = {
    "variance": "noise variance s²",
    "base": "base",
    "diagonal": "diagonal",
    "manifold_dim": "manifold dimension d",
    "flow": "flow",
}
DISTANCES = (("w1", "W1"), ("w1_per_dim", "W1/D"), ("w1_centred", "W1, centred"))
MARKERS = "os^Dvx"
LEAST_COLUMNS = 3
LINEAR = 1e-2  # nats, below which the axis of a divergence is linear
MOST_SETTINGS = 6
FAMILY = ("flow", "base", "diagonal")
SETTING = ("manifold", "noise", "dim", "variance", "manifold_dim")
QUANTILES_A_BIN = 5
NARROW = 1e-4  # nats
HIGHEST_PEAK = 4  # times the density of half the mass


def divergences(rows: Sequence[Row]) -> Drawing:
    """KL(p || q) and the bound against the noise, the dimension of the manifold, the base or the diagonal.

    Small multiples of the rest.
    """
    rows = [row for row in rows if row["variance"] > 0]
    varied, others = _varied(rows)
    by = ("manifold", "noise", "dim", *others)
    families = _values(rows, "flow")
    panels = _keys(rows, by)
    columns = len(_values(rows, "dim"))
    columns = columns if columns > 1 else min(LEAST_COLUMNS, len(panels))
    words = isinstance(rows[0][varied], str)

    def draw(style: Style) -> Figure:
        figure, grid = panel_grid(
            -(-len(panels) // columns),
            columns,
            1.9,
            1.35,
            left=1.0,
            top=1.0,
            bottom=1.1 if words else 0.65,
            row_gap=1.15 if words else 0.65,
            column_gap=0.6,
        )
        for axes in grid.ravel()[len(panels) :]:
            axes.set_visible(False)
        for axes, panel in zip(grid.ravel(), panels):
            _divergence(axes, _at(rows, by, panel), varied, families, style)
            axes.set_title(_title(by, panel), fontsize=8)
        for axes in grid[:, 0]:
            axes.set_ylabel("KL(p‖q) / nats", fontsize=9)
        for column in range(columns):
            grid[(len(panels) - 1 - column) // columns, column].set_xlabel(LABELS[varied], fontsize=9)
        _legend(figure, grid, columns + 1)
        return figure

    return Drawing(draw)


def distances(rows: Sequence[Row]) -> Drawing:
    """W1 between the densities of states, per dimension and centred too, against what the study varies.

    A line for each D, and then panels for each flow; or a line for each flow where there is one D.
    """
    rows = [{**row, **_per_dim(row)} for row in rows if row["variance"] > 0]
    varied, others = _varied(rows)
    by = ("manifold", "noise", *others)
    panels, ticks = _keys(rows, by), _values(rows, varied)
    dims, families = _values(rows, "dim"), _values(rows, "flow")
    lines = "dim" if len(dims) > 1 or varied == "flow" else "flow"
    flows: list[Key] = [(family,) for family in families] if lines == "dim" and varied != "flow" else [()]
    down = [(measure, label, flow) for measure, label in DISTANCES for flow in flows]

    def draw(style: Style) -> Figure:
        figure, grid = panel_grid(
            len(down),
            len(panels),
            1.5,
            1.1,
            left=0.95,
            top=0.95,
            bottom=1.1 if isinstance(ticks[0], str) else 0.65,
            row_gap=0.2,
            column_gap=0.25,
        )
        for (measure, label, flow), across in zip(down, grid):
            limits = _decades([row[measure] for row in rows if row[measure]])
            for panel, axes in zip(panels, across):
                here = _at(_at(rows, by, panel), ("flow",)[: len(flow)], flow)
                for index, (value, look) in enumerate(zip(_values(rows, lines), _looks())):
                    if lines == "dim":
                        look["color"] = style.density(0.25 + 0.65 * (index + 1) / len(dims))
                    line = [row for row in here if row[lines] == value]
                    name = f"D = {value}" if lines == "dim" else value
                    _line(axes, line, varied, ticks, measure, label=name, **look)
                axes.set_yscale("log")
                axes.set(xlim=(-0.5, len(ticks) - 0.5), ylim=limits)
                _finish(axes, ticks)
                axes.tick_params(axis="y", which="both", labelsize=7, labelleft=axes is across[0])
                axes.tick_params(labelbottom=axes in grid[-1])
            across[0].set_ylabel("\n".join([*flow, f"{label} / nats"]), fontsize=8)
        for panel, axes in zip(panels, grid[0]):
            axes.set_title(_title(by, panel), fontsize=8)
        for axes in grid[-1]:
            axes.set_xlabel(LABELS[varied], fontsize=8)
        _legend(figure, grid, 6)
        return figure

    return Drawing(draw)


def volume_changes(rows: Sequence[Row], results: Sequence[Row]) -> Drawing | None:
    """The optimal and the actual log-determinant of `f^-1` along the manifold; None where no density is known."""

    def panel(axes: Axes, result: Row, member: Row, style: Style) -> None:
        position = result["truth"]["position"]
        for name, colour in (("optimal", style.target), ("actual", style.flow)):
            axes.plot(position, np.array(member[name], float), "o", color=colour, markersize=2, label=name)

    return _multiples(rows, results, "actual", panel, "first coordinate", "log-determinant of f⁻¹ / nats")


def layers(rows: Sequence[Row], results: Sequence[Row]) -> Drawing | None:
    """Mean and standard deviation over the data of each layer's log-determinant; None where no density is known."""

    def panel(axes: Axes, result: Row, member: Row, style: Style) -> None:
        mean, deviation = np.array(member["layers"][1:], float).T
        axes.axhline(0, color=style.rule, linewidth=0.8)
        steps = 1 + np.arange(len(mean))
        axes.errorbar(steps, mean, deviation, color=style.flow, fmt="o", markersize=3, linewidth=1)
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))

    return _multiples(
        rows, results, "actual", panel, "layer of f⁻¹, from the data", "log-determinant of a layer / nats"
    )


def densities(rows: Sequence[Row], results: Sequence[Row], name: str) -> Drawing | None:
    """The densities of states of the data and of each flow, or of both on the manifold; None where none is known.

    Args:
        rows: of the cells.
        results: of the cells.
        name: `"states"` or `"states_on_manifold"`.
    """

    def panel(axes: Axes, result: Row, member: Row, style: Style) -> None:
        masses: Any = axes.twinx()
        masses.set_ylim(0, 1.3)
        masses.set(yticks=[])
        masses.spines[["top", "right"]].set_visible(False)
        for law, label, colour in ((result["truth"][name], "data", style.target), (member[name], "flow", style.flow)):
            _density(axes, masses, law, label, colour)

    ylabel = "density of states / nats⁻¹"
    return _multiples(rows, results, name, panel, "log-density / nats", ylabel, finish=_cut_peaks)


def _divergence(axes: Axes, here: list[Row], varied: str, families: list[str], style: Style) -> None:
    """KL(p || q) of every family against what is varied, and the bound."""
    ticks = _values(here, varied)
    for family, look in zip(families, _looks()):
        line = [row for row in here if row["flow"] == family]
        _line(axes, line, varied, ticks, "kl", label=family, **look)
    bounds = {row[varied]: row["bound"] for row in here}
    places = [ticks.index(value) for value in bounds]
    dotted = {"linestyle": "none", "marker": "_", "markersize": 14} if isinstance(ticks[0], str) else {"linestyle": ":"}
    axes.plot(places, list(bounds.values()), color=style.text, label="VP bound", **dotted)
    axes.set_yscale("symlog", linthresh=LINEAR)
    locator = SymmetricalLogLocator(linthresh=LINEAR, base=10)
    locator.set_params(numticks=6)
    axes.yaxis.set_major_locator(locator)
    axes.set_ylim(0, 2 * max([row["kl"] for row in here if row["kl"] is not None] + [*bounds.values(), LINEAR]))
    _finish(axes, ticks)


def _line(axes: Axes, line: list[Row], varied: str, ticks: list[Any], measure: str, **look: Any) -> None:
    line = sorted((row for row in line if row[measure] is not None), key=lambda row: ticks.index(row[varied]))
    axes.errorbar(
        [ticks.index(row[varied]) for row in line],
        [max(row[measure], 0.0) for row in line],
        [row[f"{measure}_std_error"] or 0.0 for row in line],
        markersize=4,
        linewidth=1,
        linestyle=joining(ticks),
        **look,
    )


def _looks() -> Iterator[dict[str, Any]]:
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    return ({"color": colour, "marker": marker} for colour, marker in zip(cycle(colours), cycle(MARKERS)))


def _decades(values: list[float]) -> tuple[float, float]:
    """The powers of ten around positive values."""
    ends = [math.floor(math.log10(0.8 * min(values))), math.ceil(math.log10(1.25 * max(values)))] if values else [-1, 0]
    return math.pow(10, ends[0]), math.pow(10, ends[1])


def _finish(axes: Axes, ticks: list[Any]) -> None:
    turned: dict[str, Any] = (
        {"rotation": 55, "ha": "right", "rotation_mode": "anchor"} if isinstance(ticks[0], str) else {}
    )
    axes.set_xticks(range(len(ticks)), [_tick(tick) for tick in ticks], fontsize=7, **turned)
    axes.grid(axis="y")
    axes.spines[["top", "right"]].set_visible(False)


def _density(axes: Axes, masses: Axes, law: Row, label: str, colour: str) -> None:
    """The continuous part in bins of equal mass, and the atoms as stems."""
    levels = np.array(law["quantiles"])
    atoms, rest = _atoms(law)
    axes.plot([], [], color=colour, label=label)
    if len(rest) > 1:
        places = np.linspace(0, len(rest) - 1, max(2, len(rest) // QUANTILES_A_BIN)).round().astype(int)
        edges = rest[places]
        density = np.diff(places) / len(levels) / np.diff(edges)
        axes.stairs(density, edges, color=colour, fill=True, alpha=0.25)
        axes.stairs(density, edges, color=colour)
    if len(atoms):
        stems(masses, atoms[:, 0], atoms[:, 1], colour, f"{label}: atoms", small=True)


def _atoms(law: Row) -> tuple[Float[np.ndarray, "k 2"], Float[np.ndarray, " n"]]:
    """Atoms and their masses, no less than lies between two quantiles, and the quantiles that are at none of them.

    What is as heavy as a bin and too narrow to be seen is an atom too.
    """
    levels, atoms = np.array(law["quantiles"]), np.array(law["atoms"], float).reshape(-1, 2)
    atoms = atoms[np.isfinite(atoms[:, 0]) & (atoms[:, 1] * len(levels) >= 1)]
    rest = levels[~np.isin(levels, atoms[:, 0])]
    groups = np.split(rest, np.flatnonzero(np.diff(rest) >= NARROW) + 1)
    narrow = [(group.mean(), len(group) / len(levels)) for group in groups if len(group) >= QUANTILES_A_BIN]
    wide = [group for group in groups if len(group) < QUANTILES_A_BIN]
    return np.concatenate([atoms, np.reshape(narrow, (-1, 2))]), np.unique(np.concatenate([np.zeros(0), *wide]))


def _cut_peaks(column: Sequence[Axes]) -> None:
    """An axis from 0, from which only peaks stand out that are far above the density of most of the mass."""
    patches = [patch for axes in column for patch in axes.patches if isinstance(patch, StepPatch)]
    if patches:
        values = np.concatenate([patch.get_data()[0] for patch in patches])
        column[0].set_ylim(0, 1.05 * min(values.max(), HIGHEST_PEAK * float(np.median(values))))


def _multiples(
    rows: Sequence[Row],
    results: Sequence[Row],
    needed: str,
    panel: Callable[[Axes, Row, Row, Style], None],
    xlabel: str,
    ylabel: str,
    finish: Callable[[Sequence[Axes]], None] | None = None,
) -> Drawing | None:
    """Flows down and a few settings across: `panel` of the first member of each cell that has what is `needed`."""
    members = [next((m for m in result["members"] if m.get(needed) is not None), None) for result in results]
    cells = [(row, result, member) for row, result, member in zip(rows, results, members) if member is not None]
    if not cells:
        return None
    known = [row for row, _, _ in cells]
    families, settings = _keys(known, FAMILY), _few(_keys(known, SETTING))
    named = [name for name in FAMILY if name == "flow" or len(_values(known, name)) > 1]

    def draw(style: Style) -> Figure:
        figure, grid = panel_grid(
            len(families), len(settings), 1.45, 1.0, left=0.95, top=1.1, column_gap=0.5, row_gap=0.2, share="col"
        )
        for axes in grid.ravel():
            axes.spines[["top", "right"]].set_visible(False)
            axes.tick_params(labelsize=7)
        for row, result, member in cells:
            key = _key(row, SETTING)
            if key in settings:
                axes = grid[families.index(_key(row, FAMILY)), settings.index(key)]
                panel(axes, result, member, style)
        for axes, key in zip(grid[0], settings):
            axes.set_title(_title(SETTING, key), fontsize=8)
        if finish is not None:
            for column in grid.T:
                finish(list(column))
        for axes, key in zip(grid[:, 0], families):
            axes.set_ylabel("\n".join(word for name, word in zip(FAMILY, key) if name in named), fontsize=8)
        for axes in grid[-1]:
            axes.set_xlabel(xlabel, fontsize=8)
        line = 0.3 / figure.get_figheight()
        figure.text(0.02, 1 - line / 3, ylabel, va="top", fontsize=10)
        _legend(figure, grid, 4, 1 - line)
        return figure

    return Drawing(draw)


def _legend(figure: Figure, grid: np.ndarray, columns: int, top: float = 1.0) -> None:
    """One legend for all panels, each of which has the same names or, where there is no cell for it, none."""
    handles, names = max((axes.get_legend_handles_labels() for axes in grid.ravel()), key=lambda found: len(found[1]))
    if names:
        figure.legend(handles, names, loc="upper left", ncols=columns, bbox_to_anchor=(0.01, top))


def _few(settings: list[Key]) -> list[Key]:
    """At most so many settings, evenly chosen of each manifold and noise, the first of which comes first."""
    groups: dict[Key, list[Key]] = {}
    for setting in settings:
        groups.setdefault(setting[:2], []).append(setting)
    share = max(1, MOST_SETTINGS // len(groups))
    chosen = []
    for group in list(groups.values())[:MOST_SETTINGS]:
        places = np.unique(np.linspace(0, len(group) - 1, min(share, len(group))).round().astype(int))
        chosen += [group[place] for place in places]
    return chosen


def _varied(rows: list[Row]) -> tuple[str, list[str]]:
    """What has the most values within a manifold, noise and D, for the horizontal axis, and what else has several."""
    counts = {name: 1 for name in LABELS if name != "flow"}
    for panel in _keys(rows, ("manifold", "noise", "dim")):
        here = _at(rows, ("manifold", "noise", "dim"), panel)
        counts = {name: max(count, len(_values(here, name))) for name, count in counts.items()}
    first = max(counts, key=lambda name: counts[name])
    if counts[first] == 1:
        return "flow", []
    return first, [name for name, count in counts.items() if count > 1 and name != first]


def _key(row: Row, by: Sequence[str]) -> Key:
    return tuple(row[name] for name in by)


def _at(rows: list[Row], by: Sequence[str], key: Key) -> list[Row]:
    return [row for row in rows if _key(row, by) == key]


def _keys(rows: list[Row], by: Sequence[str]) -> list[Key]:
    """The different values of some columns together: names in the order of the study, numbers ascending."""
    orders = [_values(rows, name) for name in by]
    return sorted(
        {_key(row, by) for row in rows}, key=lambda key: [order.index(value) for order, value in zip(orders, key)]
    )


def _values(rows: list[Row], name: str) -> list[Any]:
    values = list(dict.fromkeys(row[name] for row in rows))
    return values if any(isinstance(value, str) for value in values) else sorted(values)


def _title(by: Sequence[str], key: Key) -> str:
    manifold, noise, *rest = key
    forms = {"dim": "D = {}", "variance": "s² = {:g}", "manifold_dim": "d = {}"}
    words = [forms.get(name, "{}").format(value) for name, value in zip(by[2:], rest)]
    return f"{manifold.removeprefix('segment-')}, {noise}" + ("\n" + ", ".join(words) if words else "")


def _per_dim(row: Row) -> Row:
    found = {f"w1_per_dim{end}": row[f"w1{end}"] for end in ("", "_std_error")}
    return {name: None if value is None else value / row["dim"] for name, value in found.items()}


def _tick(value: Any) -> str:
    if isinstance(value, float) and math.log10(value).is_integer():
        return f"$10^{{{math.log10(value):.0f}}}$"
    return f"{value:g}" if isinstance(value, float) else str(value)
