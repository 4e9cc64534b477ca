"""What the settings of all studies share. Light to import: `--help` needs nothing else."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path

import tyro

from pushforward.errors import UserError
from pushforward.experiments.config import changed_flags, check_least
from pushforward.experiments.families import flag
from pushforward.studies import registry


@dataclass(frozen=True)
class StudyConfig:
    """A study: a table and a figure made of many runs."""

    study: tyro.conf.Positional[str] = ""
    """a name that `pushforward list` shows"""

    out: Path | None = None
    """folder of the study; runs/STUDY unless given"""

    results: Path | None = None
    """another folder for its table and figure"""

    seed: int = 0
    """of every random number"""

    @property
    def folder(self) -> Path:
        """Where its runs are."""
        return self.out or Path("runs") / self.study

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        check_least(self, seed=0)
        for f in fields(self):
            if isinstance(value := getattr(self, f.name), tuple) and not value:
                raise UserError(f"{flag(f.name)} must not be empty")

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        default = registry.study(self.study).config
        words = changed_flags(self, default, {"study", "out", "results"})
        return shlex.join(["pushforward", "reproduce", self.study, *words])
