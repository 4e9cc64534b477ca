"""What the command line prints of runs of every kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

WIDE = 120
"""Columns where there is no terminal, which says how many it has."""


def wide_console() -> Console:
    """A console on which tables of many numbers are not cut off in a file or a pipe."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDE)


def measured(result: dict[str, Any], measures: Sequence[tuple[str, str, str]]) -> Table:
    """Those of the measures that the result has: what each is called, its name in the result, and its unit."""
    table = Table(title=escape(result["command"]), title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("± s.e.", justify="right")
    table.add_column("")
    for label, name, unit in measures:
        if name in result:
            value, error = result[name], result.get(f"{name}_std_error")
            text = "not finite" if value is None else f"{value:.4f}"
            table.add_row(label, text, "" if error is None else f"{error:.4f}", unit)
    return table


def finite(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def print_end(console: Console, name: str, restarts: list[float], result: dict[str, Any], report: Path) -> None:
    """The restarts from the best to the worst, where others diverged, time, warnings, and the report."""
    if len(restarts) > 1:
        best, median, worst = restarts[0], np.median(restarts), restarts[-1]
        spread = f"best {best:.4f}, median {median:.4f}, worst {worst:.4f}"
        console.print(f"{name} of {len(restarts)} restarts: {spread}")
    lost = [
        f"{index} at step {d['step']} ({d.get('point') or d['leaf']})"
        for index, d in enumerate(result["divergences"])
        if d
    ]
    if lost:
        console.print(f"diverged: {escape(', '.join(lost))}")
    rate = result["steps_per_second"]
    speed = f" · {rate:,.{0 if rate >= 10 else 1}f} steps/s of all restarts together" if rate else ""
    console.print(f"{result['seconds']:.1f} s{speed}")
    for warning in result["warnings"]:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    console.print(f"report: {report}", soft_wrap=True)
