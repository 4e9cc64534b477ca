"""The table and the figures of a study of densities of states."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from pushforward import manifolds
from pushforward.drawing.page import Drawings, Table
from pushforward.drawing.text import DASH, bound, number, with_interval
from pushforward.evaluation.means import mean_and_std_error
from pushforward.studies.density_of_states import figures
from pushforward.studies.density_of_states.cells import Result, StatesStudy
from pushforward.studies.page import Described

MEASURES = ("kl", "kl_on_manifold", "w1", "w1_centred", "mean_gap", "nll")
VARIED = ("base", "diagonal")
TEXT = ("manifold", "flow", *VARIED, "noise")

Row = dict[str, Any]


def described(study: StatesStudy) -> Described:
    """The study in words, as rows of numbers, and drawn against what it varies."""
    rows = [_row(result) for result in study.runs]
    return Described(_outcome(rows), _words(study), study.runs, _table(rows), rows, _drawings(rows, study.runs))


def _outcome(rows: list[Row]) -> str:
    """Which flow comes closest to the data, over everything else that was varied."""
    settings: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        settings.setdefault(tuple(row[name] for name in figures.SETTING), []).append(row)
    lowest = Counter(
        min(known, key=lambda row: row["kl"])["flow"]
        for group in settings.values()
        if (known := [row for row in group if row["kl"] is not None])
    )
    won = ", ".join(f"{flow} in {count}" for flow, count in lowest.most_common())
    diverged = f"{sum(row['diverged'] for row in rows)} of {sum(row['seeds'] for row in rows)} trainings diverged."
    return f"The lowest KL(p‖q) in {lowest.total()} settings: {won}; {diverged}" if won else f"No KL(p‖q); {diverged}"


def _row(result: Result) -> Row:
    """Means over the seeds that did not diverge, with their standard errors over those."""
    row: Row = {**result["cell"], "seeds": len(result["members"])}
    row["manifold_dim"] = manifolds.make(row["manifold"], row["manifold_dim"]).dim
    truth = {name: value for name, value in result["truth"].items() if isinstance(value, float)}
    for name in MEASURES:
        values = np.array([value for m in result["members"] if (value := m.get(name)) is not None], float)
        row[name], row[f"{name}_std_error"] = mean_and_std_error(values) if len(values) else (None, None)
        row[f"{name}_seeds"] = values.tolist()
    row["kl_interval"] = result.get("intervals", {}).get("kl")
    row["diverged"] = sum(m["diverged_at"] is not None for m in result["members"])
    return {**row, **truth, "seconds": result["seconds"]}


def _words(study: StatesStudy) -> str:
    settings = study.runs[0]["settings"]
    return (
        f"Flows of {settings['length']} layers (a residual flow: a fifth) with networks of {settings['depth']} x "
        f"{settings['width']} units at most, {settings['steps']:,} steps of {settings['batch_size']} of "
        f"{settings['points']:,} points with fresh noise; {settings['seeds']} seeds a cell, whose mean and standard "
        "error are shown, for `KL(p‖q)` the 95% interval over seeds and test rows. The validation set chose the step. "
        "In nats, but for `bits/dim`. `KL on the manifold`: of the log-density there less `deflation`, that of the "
        "noise where it is 0. `W1`: "
        "between the densities of states of the data and of the flow; `centred`: once both have the mean 0; "
        "`VP bound`: what every map of constant determinant from a Normal base loses at least; `KL, Normal`: of the "
        "Normal with the mean and covariance of the data. Without noise there is no density to compare with."
    )


def _table(rows: list[Row]) -> Table:
    """One row a cell; base and diagonal are shown where they vary."""
    constant = {name for name in VARIED if len({row[name] for row in rows}) == 1}
    columns = {name: show for name, show in COLUMNS.items() if name not in constant}
    cells = [[show(row) or DASH for show in columns.values()] for row in rows]
    return Table([*columns], cells, text_columns=sum(name in TEXT for name in columns))


def _of(name: str) -> Callable[[Row], str]:
    return lambda row: str(row[name])


def _mean(name: str, divisor: Callable[[Row], float] = lambda row: 1.0) -> Callable[[Row], str | None]:
    def show(row: Row) -> str | None:
        value, error = row[name], row[f"{name}_std_error"]
        return None if value is None else number(value / divisor(row), error and error / divisor(row))

    return show


def _divergence(divisor: Callable[[Row], float] = lambda row: 1.0) -> Callable[[Row], str | None]:
    def show(row: Row) -> str | None:
        value, interval = row["kl"], row["kl_interval"]
        return with_interval(value and value / divisor(row), interval and [end / divisor(row) for end in interval])

    return show


def _bound(row: Row) -> str | None:
    return bound(row["bound"], row["bound_low"], row["bound_high"]) if "bound" in row else None


def _dim(row: Row) -> float:
    return float(row["dim"])


COLUMNS: dict[str, Callable[[Row], str | None]] = {
    **{name: _of(name) for name in TEXT},
    "s²": lambda row: f"{row['variance']:g}",
    "d": _of("manifold_dim"),
    "D": _of("dim"),
    "KL(p‖q)": _divergence(),
    "KL/D": _divergence(_dim),
    "KL on the manifold": _mean("kl_on_manifold"),
    "deflation": lambda row: number(row.get("deflation")),
    "W1": _mean("w1"),
    "W1/D": _mean("w1", _dim),
    "W1, centred": _mean("w1_centred"),
    "VP bound": _bound,
    "KL, Normal": lambda row: number(row.get("gaussian_kl")),
    "NLL": _mean("nll"),
    "bits/dim": _mean("nll", lambda row: row["dim"] * math.log(2)),
    "diverged": lambda row: f"{row['diverged']} of {row['seeds']}",
}


def _drawings(rows: list[Row], results: list[Result]) -> Drawings:
    first = "of the first seed that did not diverge"
    few = f"At most {figures.MOST_SETTINGS} settings are shown, evenly chosen."
    return [
        (
            "",
            "Divergence from the data",
            "KL(p‖q), mean and standard error over the seeds, and the bound for volume-preserving flows from a Normal "
            "base.",
            figures.divergences(rows),
        ),
        (
            "-w1",
            "Distance between the densities of states",
            "W1 between the densities of states of the data and of the flow: plain, per dimension, and once both have "
            "the mean 0. Mean and standard error over the seeds.",
            figures.distances(rows),
        ),
        (
            "-states",
            "Densities of states",
            f"Of the data and of the flow {first}, between their quantiles 0.005 and 0.995. Atoms, and what is no "
            "wider than 0.0001 nats, are stems as high as their mass, which is written beside them. A peak may lie "
            f"outside the axis. {few}",
            figures.densities(rows, results, "states"),
        ),
        (
            "-states-on-manifold",
            "Densities of states on the manifold",
            f"Of the log-density on the manifold, without noise, for points of the manifold; of the flow {first}, less "
            f"the deflation. {few}",
            figures.densities(rows, results, "states_on_manifold"),
        ),
        (
            "-volume",
            "Change of volume along the manifold",
            "At test points: the log-determinant of f⁻¹, and the one that would give each point the density of the "
            f"data, log p less that of the base at f⁻¹(x); {first}. Where volume is preserved the actual one is "
            f"constant. {few}",
            figures.volume_changes(rows, results),
        ),
        (
            "-layers",
            "Change of volume layer by layer",
            f"Mean and standard deviation over test points of the log-determinant of each layer of f⁻¹, {first}, "
            f"without the fixed standardisation that comes first. {few}",
            figures.layers(rows, results),
        ),
    ]
