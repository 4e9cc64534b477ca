"""What a study is: runs in folders or cells in files, so that an interrupted one goes on where it was."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pushforward.errors import UserError
from pushforward.experiments.registry import resolve
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
