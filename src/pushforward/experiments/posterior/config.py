"""The settings of the fit of a posterior. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import tyro

from pushforward.errors import UserError
from pushforward.experiments.config import RunConfig, check_least, check_positive


@dataclass(frozen=True, kw_only=True)
class PosteriorConfig(RunConfig):
    """A ladder of approximations of a posterior, the best of which is kept."""

    KIND: ClassVar[str] = "posterior"
    COMMAND: ClassVar[str] = "fit"
    SUBJECT: ClassVar[str] = "target"

    target: tyro.conf.Positional[str] = ""
    """file.py:name or module:name of a model, a target or a function of one point, or a name that `pushforward list`
    shows"""

    data: str | None = None
    """.json, .npz or .csv file with the arguments of a model by name"""

    dim: int | None = None
    """dimensions of a function of one point, or of a target of any dimension"""

    seconds: float = 60.0
    """for the ladder, compilation included"""

    draws: int = 20_000
    """of the best rung"""

    seed: int = 0
    """of every random number"""

    def check(self) -> None:
        super().check()
        check_least(self, seed=0, dim=1, draws=1_000)
        check_positive(self, "seconds")
        if not self.target:
            raise UserError("give a target: file.py:name, module:name, or a name that `pushforward list` shows")
        if self.data is not None and ":" not in self.target:
            raise UserError(f"--data is for models, given as file.py:name; {self.target} takes none")

    @property
    def title(self) -> str:
        """What the run is called while it is fitted."""
        return self.target

    @property
    def folder_name(self) -> str:
        """What the run's folder is called unless the user says."""
        source, _, name = self.target.rpartition(":")
        return "-".join(filter(None, [Path(source).stem, name]))
