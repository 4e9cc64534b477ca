"""What the tables and pages of all studies have."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pushforward.reports.html import Drawings, Table


@dataclass(frozen=True)
class Described:
    """A study in words, numbers and pictures.

    Attributes:
        words: what was run, what was measured, and how to read the table; names of columns between backticks.
        results: of its cells, each with its `environment` and the `seconds` it took.
        table: of what was measured.
        rows: the same for JSON, and more.
        drawings: by what follows the name of the study in that of their file; the first follows it with nothing.
    """

    words: str
    results: Sequence[Mapping[str, Any]]
    table: Table
    rows: list[dict[str, Any]]
    drawings: Drawings

    @property
    def hours(self) -> float:
        """What it took to train everything."""
        return float(sum(result["seconds"] for result in self.results)) / 3600


def markdown_table(table: Table) -> list[str]:
    """The lines of a table in Markdown."""
    columns, text_columns = table.columns, len(table.columns) if table.text_columns is None else table.text_columns
    return [
        _line(columns),
        f"|{'---|' * text_columns}{'---:|' * (len(columns) - text_columns)}",
        *(_line(row) for row in table.rows),
    ]


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
