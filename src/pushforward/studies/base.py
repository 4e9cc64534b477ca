"""What a study is: runs in folders or cells in files, so that an interrupted one goes on where it was."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pushforward.errors import UserError
from pushforward.experiments.config import RunConfig
from pushforward.experiments.registry import resolve
from pushforward.experiments.runs import open_run, settled, start_run
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


def run_study(config: StudyConfig) -> Study[Any, Any]:
    """Run every cell of a study that is not finished yet.

    Raises:
        UserError: there is no such study, or one of its cells cannot be run.
    """
    cells = registry.study(config.study).cells
    config.check()
    return resolve(cells)(config)


def finished_run(config: RunConfig, folder: Path) -> Any:
    """The run of a cell in `folder`, trained unless it is there and finished.

    Raises:
        UserError: the folder holds a run with other settings.
    """
    config = settled(config)
    run = open_run(folder) if folder.is_dir() else start_run(config, folder, force=False)
    if run.config != config:
        raise UserError(f"{folder} holds another run; choose another --out")
    if not run.finished:
        run.train()
        forget_programs()
    return run


def finished_cell(path: Path, settings: dict[str, Any]) -> bool:
    """Whether the file of a cell is there.

    Raises:
        UserError: it was made with other settings.
    """
    if not path.is_file():
        return False
    if json.loads(path.read_text())["settings"] != settings:
        raise UserError(f"{path} was made with other settings; choose another --out")
    return True


def write_cell(path: Path, result: dict[str, Any]) -> None:
    """Write the file of a cell, whole or not at all, and forget the programs of the cells before if they are many."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(result, allow_nan=False) + "\n")
    partial.replace(path)
    forget_programs()
