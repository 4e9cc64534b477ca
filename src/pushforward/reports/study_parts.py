"""What the tables of all studies have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushforward.reports.style import Drawing


@dataclass(frozen=True)
class Described:
    """A study in words, numbers and a picture.

    Attributes:
        markdown: its table.
        rows: the same for JSON, and more.
        figure: its figure.
    """

    markdown: str
    rows: list[dict[str, Any]]
    figure: Drawing


def provenance(command: str, results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Lines that say by which command, on what, and in which time the results were made."""
    environment = results[0]["environment"]
    hours = sum(result["seconds"] for result in results) / 3600
    return [
        f"    {command}",
        "",
        f"{environment['device']} ({environment['processor']}), JAX {environment['jax']}, "
        f"pushforward {environment['pushforward']}; {hours:.1f} hours of training in all.",
        "",
    ]


def markdown_table(columns: Sequence[str], text_columns: int, rows: Sequence[Sequence[str]]) -> list[str]:
    """The lines of a table whose first columns hold text and the others numbers."""
    return [
        f"| {' | '.join(columns)} |",
        f"|{'---|' * text_columns}{'---:|' * (len(columns) - text_columns)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
