"""The settings of the study of sampling targets. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from typing import Literal

from pushforward.experiments.config import check_least
from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class SamplingTargetsConfig(StudyConfig):
    """Targets that samplers are compared on, each fitted by its own recipe."""

    budget: Literal["smoke", "paper"] = "smoke"
    """a look in minutes, or the steps and seconds of the recipes"""

    targets: tuple[str, ...] | None = None
    """of the study; all unless given"""

    seeds: int | None = None
    """fits of each"""

    def check(self) -> None:
        super().check()
        check_least(self, seeds=1)
