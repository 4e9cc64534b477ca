"""The table of a posterior's numbers: for JSON, as text, and on the terminal."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pushforward.drawing.text import DASH, number
from pushforward.evaluation.means import finite_or_none
from pushforward.inference import Summary

COLUMNS = ("", "mean", "± MC", "sd", "± MC", "5%", "± MC", "95%", "± MC")
VALUES = ("mean", "sd", "low", "high")
MOST_ROWS = 40


def listed(summary: Summary) -> list[dict[str, Any]]:
    """A line for each number, as JSON can hold it."""
    return [
        {name: value if isinstance(value, str) else finite_or_none(value) for name, value in asdict(row).items()}
        for row in summary.rows
    ]


def cells(row: Mapping[str, Any]) -> list[str]:
    """A line of the table: the name, then each number and its Monte Carlo error."""
    texts = [row["name"]]
    for name in VALUES:
        value, error = row[name], row[f"{name}_error"]
        texts += [number(value, error) or DASH, DASH if error is None else f"{error:.2g}"]
    return [text.split(" ± ")[0] for text in texts]


def print_summary(console: Console, result: Mapping[str, Any], elsewhere: str) -> None:
    """The table of the result of a run, whose other lines are in a file and on the page."""
    table = Table(title=escape(result["command"]), title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    for row in result["summary"][:MOST_ROWS]:
        table.add_row(*map(escape, cells(row)))
    console.print(table)
    if len(result["summary"]) > MOST_ROWS:
        console.print(f"and {len(result['summary']) - MOST_ROWS} more in the report and in {elsewhere}")
