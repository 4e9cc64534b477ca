"""The settings of loss landscapes. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from typing import Literal

from pushforward.errors import UserError
from pushforward.experiments.config import check_least
from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class LandscapeConfig(StudyConfig):
    """The loss around trained flows, its curvature, and how their parameters moved."""

    budget: Literal["smoke", "paper"] = "smoke"
    """how much of everything that is not given: small networks for minutes, or those of the thesis for hours"""

    manifold: str = "segment-uniform"
    """what the data lie on"""

    dim: int = 36
    """dimensions D of the data"""

    variance: float = 1e-2
    """of the noise in each dimension, s^2"""

    flows: tuple[str, ...] = ("nice", "real-vp", "real-nvp")
    """families, on one backbone"""

    seeds: int = 5
    """models of each; the landscape is that of the first"""

    steps: int | None = None
    """updates of each model"""

    width: int | None = None
    """hidden units of each network, at most 4 D"""

    radius: float = 0.5
    """where the landscape ends, in norms of each filter"""

    points: int = 31
    """along each side of it"""

    def check(self) -> None:
        super().check()
        check_least(self, dim=2, variance=1e-12, seeds=1, steps=1, width=1, points=3)
        if self.points % 2 == 0:
            raise UserError(f"--points must be odd, got {self.points}")
        if not self.radius > 0:
            raise UserError(f"--radius must be positive, got {self.radius}")
