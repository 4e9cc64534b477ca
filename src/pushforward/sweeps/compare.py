"""Runs that were not made together, on one page."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pushforward.errors import UserError
from pushforward.experiments.config import values_of
from pushforward.experiments.registry import kind
from pushforward.experiments.runs import Run
from pushforward.sweeps.figures import NAME
from pushforward.sweeps.page import Comparison, page, print_table
from pushforward.sweeps.sweep import Swept

PAGE, FIGURES = "report.html", "figures"


def compare(runs: Sequence[Run], folder: Path) -> Path:
    """Write a page that compares finished runs of one kind, and print its table, the best first.

    Args:
        runs: two or more.
        folder: of the page; a new one, or that of another comparison, which is replaced.

    Returns:
        The path of `report.html`.

    Raises:
        UserError: they are of several kinds, one of them is not finished, two are the same, or the folder holds
            something else or cannot be written.
    """
    kinds = {run.config.KIND: run for run in runs}
    if len(kinds) > 1:
        first, second = list(kinds.items())[:2]
        raise UserError(f"{first[1].folder} is a {first[0]} run, {second[1].folder} a {second[0]} run")
    names = [str(run.folder) for run in runs]
    if len(set(names)) < len(names):
        raise UserError("the same run is given twice")
    for run in runs:
        _ = run.result  # refuses one that is not finished
    if folder.exists() and (not folder.is_dir() or {path.name for path in folder.iterdir()} - {PAGE, FIGURES}):
        raise UserError(f"{folder} holds something else; choose another --out")
    settings = [values_of(run.config) for run in runs]
    every = dict.fromkeys(name for values in settings for name in values)
    differing = [name for name in every if len({repr(values.get(name)) for values in settings}) > 1]
    swept = [
        Swept(name, {NAME: name, **{each: _word(values.get(each)) for each in differing}}, run)
        for name, values, run in zip(names, settings, runs)
    ]
    comparison = Comparison(
        name=" and ".join(names) if len(names) == 2 else f"{len(names)} runs",
        folder=folder,
        axes={name: tuple(each.varied[name] for each in swept) for name in (NAME, *differing)},
        shared={name: settings[0][name] for name in every if name not in differing},
        measures=kind(runs[0].config.KIND).measures,
        command=shlex.join(["pushforward", "report", *names, "--out", str(folder)]),
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        report = folder / PAGE
        report.write_text(page(comparison, swept), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
    print_table(comparison, swept, "the report")
    return report


def _word(value: Any) -> str:
    return "not set" if value is None else str(value)
