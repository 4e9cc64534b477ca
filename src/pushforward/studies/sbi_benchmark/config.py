"""The settings of the study of simulation-based inference. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from typing import Literal

from pushforward.experiments.config import check_least
from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class SbiBenchmarkConfig(StudyConfig):
    """Tasks of simulation-based inference, each with ten observations and reference draws."""

    budget: Literal["smoke", "paper"] = "smoke"
    """a look at two tasks in minutes, or all of them in hours"""

    tasks: tuple[str, ...] | None = None
    """two-moons, gaussian-linear, gaussian-linear-uniform, gaussian-mixture, slcp, slcp-distractors, bernoulli-glm,
    bernoulli-glm-raw, sir, lotka-volterra; all of them for the paper"""

    simulations: tuple[int, ...] | None = None
    """budgets; 1,000 and 10,000 for the paper, and 100,000 of three tasks"""

    seeds: int | None = None
    """fits of each; for the paper three of two moons, SLCP and Lotka-Volterra, one of the others and of 100,000"""

    observations: int = 10
    """of the ten"""

    def check(self) -> None:
        super().check()
        check_least(self, seeds=1, simulations=100, observations=1)
