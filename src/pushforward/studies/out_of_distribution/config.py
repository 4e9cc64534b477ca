"""The settings of the study of images of another kind. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pushforward.errors import UserError
from pushforward.experiments.config import check_least
from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class OutOfDistributionConfig(StudyConfig):
    """Flows of images that are shown images of another kind."""

    budget: Literal["smoke", "paper"] = "smoke"
    """how much of everything that is not given: small networks for a look in minutes, or the real thing on a GPU"""

    data: tuple[str, ...] = ("fashion-mnist", "mnist")
    """sets of images of one shape, or .npy files; flows are trained on each, and the others are outliers"""

    flows: tuple[str, ...] = ("glow", "real-nvp", "bottleneck")
    """multi-scale with channels mixed or permuted; or couplings of whole images by narrow networks"""

    groups: tuple[int, ...] = (2, 10)
    """images that are judged together, M; beside single ones"""

    seeds: int | None = None
    """flows of each cell"""

    steps: int | None = None
    """updates of each flow"""

    length: int | None = None
    """couplings in each level, K; of bottleneck half of all"""

    width: int | None = None
    """channels of each network"""

    bottleneck: int | None = None
    """hidden units of each network of bottleneck"""

    images: int | None = None
    """test images at most, and as many of the validation set, drawn at random"""

    draws: int | None = None
    """samples of each flow"""

    def check(self) -> None:
        super().check()
        check_least(self, seeds=1, steps=1, length=1, width=1, bottleneck=1, images=10, draws=10, groups=2)
        if len({Path(source).stem for source in self.data}) < max(2, len(self.data)):
            raise UserError("--data must be two sets of images or more, with names that differ")
