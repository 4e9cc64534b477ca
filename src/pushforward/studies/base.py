"""What a study is: runs in folders or cells in files, so that an interrupted one goes on where it was."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pushforward.errors import UserError
from pushforward.experiments.cluster import Cluster
from pushforward.experiments.config import RunConfig
from pushforward.experiments.files import write_whole
from pushforward.experiments.registry import resolve
from pushforward.experiments.runs import DIVERGED, RESULT, environment, finished_run, run_of
from pushforward.experiments.work import Piece, carry_out, training
from pushforward.programs import forget_programs
from pushforward.studies import registry
from pushforward.studies.config import StudyConfig

C = TypeVar("C", bound=StudyConfig)
R = TypeVar("R")


@dataclass(frozen=True)
class Study(Generic[C, R]):
    """A finished study.

    Attributes:
        config: its settings.
        runs: its cells, in the order of its table.
    """

    config: C
    runs: list[R]


@dataclass(frozen=True)
class Cells:
    """Cells of a study that are measured together, each in a file of its own.

    Attributes:
        paths: of the files.
        settings: what they depend on, as JSON has it.
        function: `module:name` of what measures them: it gives the result of each.
        arguments: of the function, which can be pickled.
    """

    paths: tuple[Path, ...]
    settings: Mapping[str, Any]
    function: str
    arguments: tuple[Any, ...]

    @staticmethod
    def one(path: Path, settings: Mapping[str, Any], function: str, *arguments: Any) -> "Cells":
        """A cell that is measured alone, by a function that gives its result."""
        return Cells((path,), settings, f"{__name__}:alone", (function, *arguments))


@dataclass(frozen=True)
class Lost:
    """A run of a study of which every restart met a number that is not finite.

    Attributes:
        folder: of the run.
        step: at which the first did.
        leaf: of the model, in which it did.
    """

    folder: Path
    step: int
    leaf: str

    def __str__(self) -> str:
        return f"diverged at step {self.step:,} in {self.leaf}"


def run_study(config: StudyConfig, cluster: Cluster | None = None) -> Study[Any, Any]:
    """Run every cell of a study that is not finished yet.

    Args:
        config: its settings.
        cluster: a Ray cluster whose machines see its folder; in this process, one cell after another, unless given.

    Raises:
        UserError: there is no such study, or one of its cells cannot be run.
    """
    cells = registry.study(config.study).cells
    config.check()
    return resolve(cells)(config, cluster)


def measured(config: StudyConfig, cells: Sequence[Cells], cluster: Cluster | None) -> list[dict[str, Any]]:
    """What is in the files of cells, each measured unless it is there.

    Raises:
        UserError: a cell cannot be measured, or its file was made with other settings.
    """
    waiting = [each for each in cells if not all(finished_cell(path, each.settings) for path in each.paths)]
    pieces = [Piece(each.paths[0].stem, f"{__name__}:measure", (each,)) for each in waiting]
    done(config, pieces, cluster)
    return [json.loads(path.read_text()) for each in cells for path in each.paths]


def trained(
    config: StudyConfig, runs: Mapping[str, RunConfig], cluster: Cluster | None, folder: str = "cells"
) -> list[Any]:
    """The runs of a study by the names of their folders, each trained unless it is finished.

    Args:
        config: of the study.
        runs: their settings.
        cluster: see `run_study`.
        folder: of that of the study, in which they are.

    Raises:
        UserError: a run cannot be trained, or diverges, or its folder holds one with other settings.
    """
    found = trained_or_lost(config, runs, cluster, folder)
    for run in found:
        if isinstance(run, Lost):
            raise UserError(f"{run.folder} {run}")
    return found


def trained_or_lost(
    config: StudyConfig, runs: Mapping[str, RunConfig], cluster: Cluster | None, folder: str = "cells"
) -> list[Any | Lost]:
    """As `trained`, with what is to be said of a run in the place of one that diverged.

    Raises:
        UserError: a run cannot be trained, or its folder holds one with other settings.
    """
    folders = {name: config.folder / folder / name for name in runs}
    waiting = [name for name, path in folders.items() if not any((path / end).is_file() for end in (RESULT, DIVERGED))]
    pieces = [training(name, runs[name], folders[name]) for name in waiting]
    for name, complaint in carry_out(config.study, pieces, cluster).items():
        if not (folders[name] / DIVERGED).is_file():
            raise UserError(complaint)
    return [_ended(each, folders[name]) for name, each in runs.items()]


def _ended(config: RunConfig, folder: Path) -> Any | Lost:
    if (folder / RESULT).is_file() or not (folder / DIVERGED).is_file():
        return finished_run(config, folder)
    return Lost(run_of(config, folder).folder, **json.loads((folder / DIVERGED).read_text()))


def done(config: StudyConfig, pieces: Sequence[Piece], cluster: Cluster | None) -> None:
    """Do pieces of a study.

    Raises:
        UserError: one of them fails; the others are done.
    """
    for complaint in carry_out(config.study, pieces, cluster).values():
        raise UserError(complaint)


def measure(cells: Cells) -> None:
    """Measure cells, and write the file of each."""
    for path, result in zip(cells.paths, resolve(cells.function)(*cells.arguments)):
        path.parent.mkdir(parents=True, exist_ok=True)
        content = {**result, "settings": cells.settings, "environment": environment()}
        write_whole(path, json.dumps(content, allow_nan=False) + "\n")
    forget_programs()


def alone(function: str, *arguments: Any) -> list[dict[str, Any]]:
    """The result of a cell that is measured alone."""
    return [resolve(function)(*arguments)]


def finished_cell(path: Path, settings: Mapping[str, Any]) -> bool:
    """Whether the file of a cell is there.

    Raises:
        UserError: it was made with other settings.
    """
    if not path.is_file():
        return False
    if json.loads(path.read_text())["settings"] != settings:
        raise UserError(f"{path} was made with other settings; choose another --out")
    return True
