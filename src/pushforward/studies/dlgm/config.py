"""The settings of studies of deep latent Gaussian models. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from typing import Literal

from pushforward.experiments.config import check_least
from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class DlgmStudyConfig(StudyConfig):
    """Deep latent Gaussian models, whose posteriors are flows of several lengths."""

    budget: Literal["smoke", "paper"] = "smoke"
    """how much of everything that is not given: a look in minutes, or the real thing in hours"""

    lengths: tuple[int, ...] | None = None
    """layers, K; those of the paper unless given, two of them for a smoke test"""

    series: tuple[str, ...] | None = None
    """lines of the figure; all unless given"""

    seeds: int | None = None
    """runs of each cell"""

    steps: int | None = None
    """updates of each run at most"""

    images: int | None = None
    """test images for importance sampling"""

    draws: int | None = None
    """latent vectors for each of them"""

    annealed_images: int | None = None
    """test images for annealed importance sampling; 0 for none"""

    chains: int | None = None
    """for each of them"""

    temperatures: int | None = None
    """of each chain"""

    def check(self) -> None:
        super().check()
        check_least(self, seeds=1, steps=1, images=1, draws=1, annealed_images=0, chains=1, temperatures=2)
