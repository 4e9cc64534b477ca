"""The settings of the study of posteriordb. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from typing import Literal

from pushforward.experiments.config import check_least, check_positive
from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class PosteriordbConfig(StudyConfig):
    """Posteriors of posteriordb, fitted and judged against reference draws, beside other ways to approximate them."""

    budget: Literal["smoke", "paper"] = "smoke"
    """how much of everything that is not given: a look in minutes at a few, or all of them in hours"""

    posteriors: tuple[str, ...] | None = None
    """those of `pushforward list posteriors` that have reference draws; all of them for the paper"""

    methods: tuple[str, ...] = (
        "pushforward",
        "NUTS",
        "Pathfinder",
        "AutoNormal",
        "AutoMultivariateNormal",
        "AutoLaplaceApproximation",
        "AutoIAFNormal",
        "AutoBNAFNormal",
    )
    """what is run"""

    seeds: int | None = None
    """fits of each posterior; the other methods have one"""

    seconds: float | None = None
    """of the ladder, and of its chains twice as many"""

    ess: float = 4000
    """that the chains must reach"""

    def check(self) -> None:
        super().check()
        check_least(self, seeds=1)
        check_positive(self, "seconds", "ess")
