"""The table, the figures and the page of a study."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.markup import escape
from rich.table import Table as RichTable

from pushforward.drawing.page import Drawings, Picture, Table, render
from pushforward.experiments.registry import resolve
from pushforward.experiments.terminal import wide_console
from pushforward.experiments.words import configuration
from pushforward.studies import registry
from pushforward.studies.base import Study
from pushforward.studies.config import StudyConfig

LINE = 120


@dataclass(frozen=True)
class Described:
    """A study in words, numbers and pictures.

    Attributes:
        outcome: what came out, in a sentence or two.
        words: what was run, what was measured, and how to read the table; names of columns between backticks.
        results: of its cells, each with its `environment` and the `seconds` it took.
        table: of what was measured.
        rows: the same for JSON, and more.
        drawings: by what follows the name of the study in that of their file; the first follows it with nothing.
    """

    outcome: str
    words: str
    results: Sequence[Mapping[str, Any]]
    table: Table
    rows: list[dict[str, Any]]
    drawings: Drawings

    @property
    def hours(self) -> float:
        """What it took to train everything."""
        return float(sum(result["seconds"] for result in self.results)) / 3600


def write_study(study: Study[Any, Any]) -> Path:
    """Write the table, the figures and the page of a study into its folder, all but the page into `--results` too.

    The table is printed too.

    They are `NAME.md`, `NAME.json`, `NAME.png`, `NAME-MORE.png` for further figures, and `report.html`.

    Returns:
        The path of `report.html`.
    """
    name, config = study.config.study, study.config
    described: Described = resolve(registry.study(name).page)(study)
    pictures = {
        f"{name}{end}.png": Picture.drawn(heading, caption, drawing)
        for end, heading, caption, drawing in described.drawings
        if drawing is not None
    }
    console = wide_console()
    console.print(_shown(name, described.table))
    console.print(escape(described.outcome))
    for warning in _warnings(config):
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    for folder in filter(None, (config.folder, config.results)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(_markdown(config, described))
        (folder / f"{name}.json").write_text(json.dumps(described.rows, indent=1, allow_nan=False) + "\n")
        for file, picture in pictures.items():
            (folder / file).write_bytes(picture.light)
        console.print(f"table and figures: {folder}/{name}*.{{md,json,png}}", soft_wrap=True, markup=False)
    report: Path = config.folder / "report.html"
    report.write_text(_page(config, described, list(pictures.values())), encoding="utf-8")
    console.print(f"report: {report}", soft_wrap=True, markup=False)
    return report


def _warnings(config: StudyConfig) -> list[str]:
    """What the reader of the numbers has to know of the settings."""
    small = getattr(config, "budget", None) == "smoke"
    return ["Of --budget smoke: they show that all of it runs, not how good it is."] if small else []


def _shown(name: str, table: Table) -> RichTable:
    """The table for a terminal."""
    shown = RichTable(title=name, title_justify="left")
    text_columns = len(table.columns) if table.text_columns is None else table.text_columns
    for index, column in enumerate(table.columns):
        shown.add_column(escape(column), justify="left" if index < text_columns else "right")
    for row in table.rows:
        shown.add_row(*map(escape, row))
    return shown


def _markdown(config: StudyConfig, described: Described) -> str:
    environment = described.results[0]["environment"]
    lines = [
        f"# {config.study}",
        "",
        *_wrapped(described.outcome),
        "",
        *_wrapped(described.words),
        "",
        *(f"**{warning}**\n" for warning in _warnings(config)),
        f"    {config.command()}",
        "",
        f"{environment['device']} ({environment['processor']}), JAX {environment['jax']}, "
        f"pushforward {environment['pushforward']}; {described.hours:.1f} hours of training in all.",
        "",
        *markdown_table(described.table),
    ]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, LINE, break_long_words=False, break_on_hyphens=False)


def _page(config: StudyConfig, described: Described, pictures: list[Picture]) -> str:
    environment = described.results[0]["environment"]
    return render(
        config.study,
        verdict=[described.outcome, described.words],
        results=described.table,
        warnings=_warnings(config),
        pictures=pictures,
        configuration=configuration(asdict(config)),
        command=config.command(),
        environment=Table([], [*map(list, environment.items()), ["time of training", f"{described.hours:.2f} h"]]),
    )


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
