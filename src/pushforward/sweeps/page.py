"""What a sweep has found: a table, a file of it, and a page that compares the runs."""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table as Printed

from pushforward.drawing.page import Table, render, write_pictures
from pushforward.drawing.text import DASH, number
from pushforward.errors import UserError
from pushforward.experiments.config import values_of
from pushforward.experiments.registry import Measure
from pushforward.experiments.terminal import wide_console
from pushforward.experiments.words import configuration, percentage
from pushforward.sweeps.figures import losses, measured_over
from pushforward.sweeps.grid import SEED, Axes
from pushforward.sweeps.places import RUNS
from pushforward.sweeps.sweep import Sweep, Swept

TIME = "seconds"
MOST_PRINTED = 40


@dataclass(frozen=True)
class Comparison:
    """Runs beside each other.

    Attributes:
        name: of the page.
        folder: where it is written.
        axes: the settings that differ, with the words of their values.
        shared: those that do not.
        measures: what the runs are compared by.
        command: that makes the page.
    """

    name: str
    folder: Path
    axes: Axes
    shared: Mapping[str, Any]
    measures: Sequence[Measure]
    command: str

    @staticmethod
    def of(sweep: Sweep) -> "Comparison":
        """That of the runs of a sweep."""
        return Comparison(
            name=sweep.place.name.rstrip("/").rpartition("/")[2],
            folder=sweep.place.folder,
            axes=sweep.axes,
            shared={name: value for name, value in values_of(sweep.config).items() if name not in sweep.axes},
            measures=sweep.measures,
            command=command(sweep),
        )


def write_sweep(sweep: Sweep, runs: Sequence[Swept]) -> Path:
    """Write `sweep.csv` and the page of a sweep into its folder, and print its table, the best runs first.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: they cannot be written.
    """
    comparison = Comparison.of(sweep)
    table_file, report = (sweep.place.folder / name for name in ("sweep.csv", "report.html"))
    try:
        _write_csv(table_file, comparison, runs)
        report.write_text(page(comparison, runs), encoding="utf-8")
    except OSError as error:
        failed = next((f"; {run.name}: {run.complaint}" for run in runs if run.complaint is not None), "")
        raise UserError(f"cannot write to {sweep.place.name}: {error.strerror or error}{failed}") from error
    sweep.place.publish([table_file, report])
    print_table(comparison, runs, f"the report and in {sweep.place.name}/{table_file.name}")
    console = wide_console()
    console.print(f"runs: {sweep.place.name}/{RUNS}", soft_wrap=True)
    console.print(f"report: {sweep.place.name}/{report.name}", soft_wrap=True)
    return report


def print_table(comparison: Comparison, runs: Sequence[Swept], rest: str) -> None:
    """Print the table of a comparison, the best runs first.

    Args:
        comparison: of them.
        runs: the runs.
        rest: where those are that do not fit on a screen.
    """
    console = wide_console()
    table = Printed(title=escape(comparison.name), title_justify="left")
    measures = _measured(comparison, runs)
    shown = _table(comparison, _ranked(runs, measures), measures)
    for index, column in enumerate(shown.columns):
        table.add_column(escape(column), justify="left" if index < len(comparison.axes) else "right")
    for row in shown.rows[:MOST_PRINTED]:
        table.add_row(*map(escape, row))
    console.print(table)
    if len(runs) > MOST_PRINTED:
        console.print(f"and {len(runs) - MOST_PRINTED:,} more in {rest}")


def _measured(comparison: Comparison, runs: Sequence[Swept]) -> list[Measure]:
    """The measures that some run has."""
    return [each for each in comparison.measures if any(each.of(run.result)[0] is not None for run in runs)]


def _ranked(runs: Sequence[Swept], measures: Sequence[Measure]) -> list[Swept]:
    """The runs from the best to the worst by the first measure, those without it last."""
    if not measures or measures[0].better is None:
        return list(runs)
    sign = -1.0 if measures[0].better == "highest" else 1.0

    def rank(run: Swept) -> float:
        value = measures[0].of(run.result)[0]
        return math.inf if value is None else sign * value

    return sorted(runs, key=rank)


def _table(comparison: Comparison, runs: Sequence[Swept], measures: Sequence[Measure]) -> Table:
    rows = []
    for run in runs:
        numbers = [_shown(each, *each.of(run.result)) for each in measures]
        rows.append([*run.varied.values(), *numbers, number(run.result.get(TIME)) or DASH, _note(run)])
    columns = [*comparison.axes, *(each.label for each in measures), "time / s", ""]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return Table(
        columns, rows, emphasised=0 if measures and measures[0].better else None, text_columns=len(comparison.axes)
    )


def _shown(measure: Measure, value: float | None, error: float | None = None) -> str:
    return (percentage(value) if measure.share else number(value, error)) or DASH


def _note(run: Swept) -> str:
    if run.complaint is not None:
        return run.complaint
    if run.run is None:
        return "not started"
    return "" if run.run.finished else "not finished"


def _over_seeds(comparison: Comparison, runs: Sequence[Swept], measures: Sequence[Measure]) -> Table | None:
    """Means over seeds and their standard errors, where there are other settings too."""
    names = [name for name in comparison.axes if name != SEED]
    if SEED not in comparison.axes or not names:
        return None
    rows = []
    for values, members in groups(runs, names).items():
        cells = []
        for measure in measures:
            found = [value for run in members if (value := measure.of(run.result)[0]) is not None]
            error = None if len(found) < 2 else float(np.std(found, ddof=1) / np.sqrt(len(found)))
            cells.append(_shown(measure, float(np.mean(found)) if found else None, error))
        rows.append([*values, str(len(members)), *cells])
    return Table([*names, "seeds", *(each.label for each in measures)], rows, text_columns=len(names))


def groups(runs: Sequence[Swept], names: Sequence[str]) -> dict[tuple[str, ...], list[Swept]]:
    """Runs that have the same values of some settings, by these values."""
    found: dict[tuple[str, ...], list[Swept]] = {}
    for run in runs:
        found.setdefault(tuple(run.varied[name] for name in names), []).append(run)
    return found


def page(comparison: Comparison, runs: Sequence[Swept]) -> str:
    """The page that compares runs.

    Args:
        comparison: of them.
        runs: the runs, finished or not.
    """
    measures = _measured(comparison, runs)
    ranked = _ranked(runs, measures)
    finished = [run for run in ranked if run.result]
    warnings = [f"{run.name}: {run.complaint}" for run in runs if run.complaint is not None]
    warnings += [f"{run.name}: {warning}" for run in finished for warning in run.result["warnings"]]
    drawings = [
        (
            "measure",
            f"{measures[0].label} of every run" if measures else "",
            "A dot a run, with its standard error; lines join the means of runs that differ in this number alone.",
            measured_over(comparison.axes, finished, measures[0]) if finished and measures else None,
        ),
        (
            "losses",
            "Training",
            "The mean loss between two records, of the best restart of each run. Large values of the first steps are "
            "left outside.",
            losses(finished),
        ),
    ]
    environment = dict(finished[0].result["environment"]) if finished else {}
    environment["time of all runs"] = f"{sum(run.result[TIME] for run in finished):,.0f} s"
    varied = [[name, ", ".join(dict.fromkeys(values))] for name, values in comparison.axes.items()]
    return render(
        comparison.name,
        verdict=_verdict(ranked, finished, measures),
        results=_table(comparison, ranked, measures),
        warnings=warnings,
        pictures=write_pictures(comparison.folder / "figures", drawings),
        restarts=_over_seeds(comparison, runs, measures),
        restarts_heading="Over seeds: the mean and its standard error",
        configuration=Table([], [*varied, *configuration(comparison.shared).rows]),
        command=comparison.command,
        environment=Table([], [[name, value] for name, value in environment.items()]),
    )


def _verdict(ranked: Sequence[Swept], finished: Sequence[Swept], measures: Sequence[Measure]) -> list[str]:
    count = f"{len(finished):,} of {len(ranked):,} runs are finished."
    if not finished or not measures or measures[0].better is None:
        return [count]
    best = finished[0]
    where = ", ".join(f"{name} {value}" for name, value in best.varied.items())
    return [
        f"The {measures[0].better} {measures[0].label}, {number(*measures[0].of(best.result))}, is at {where}.",
        count,
    ]


def command(sweep: Sweep) -> str:
    """The command that made a sweep."""
    words = sweep.config.command().split(" ", 2)
    over = " ".join(f"{name}={','.join(values)}" for name, values in sweep.axes.items())
    return f"pushforward sweep {words[2]} --over {over}"


def _write_csv(path: Path, comparison: Comparison, runs: Sequence[Swept]) -> None:
    measures = _measured(comparison, runs)
    columns = {each.name: each for each in measures}
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        errors = {each.error: each for each in measures if each.error is not None}
        writer.writerow(["run", *comparison.axes, *columns, *errors, TIME, "note"])
        for run in runs:
            values: list[Any] = [measure.of(run.result)[0] for measure in measures]
            values += [measure.of(run.result)[1] for measure in errors.values()]
            writer.writerow([run.name, *run.varied.values(), *values, run.result.get(TIME), _note(run)])
