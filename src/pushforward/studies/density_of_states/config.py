"""The settings of studies of densities of states. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from typing import Literal

from pushforward.errors import UserError
from pushforward.experiments.config import check_least
from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class StatesStudyConfig(StudyConfig):
    """Volume-preserving and other flows on inflated manifolds, judged by their densities of states."""

    budget: Literal["smoke", "paper"] = "smoke"
    """how much of everything that is not given: small networks for a look in minutes, or the real thing in days"""

    manifolds: tuple[str, ...] | None = None
    """what is inflated; all of the study unless given"""

    dims: tuple[int, ...] | None = None
    """dimensions D of the data"""

    manifold_dims: tuple[int, ...] | None = None
    """dimensions d of the manifolds, where the study varies them"""

    noises: tuple[str, ...] | None = None
    """kinds of noise: normal, uniform, student-t"""

    variances: tuple[float, ...] | None = None
    """of the noise in each dimension, s^2; 0 for none"""

    flows: tuple[str, ...] | None = None
    """families: nice, real-vp, real-nvp, residual, vp-nvp, spline"""

    bases: tuple[str, ...] | None = None
    """what they start from: normal, scaled-normal, student-t, uniform, families"""

    diagonals: tuple[str, ...] | None = None
    """maps of constant determinant around the layers: matched, fixed, trained, none"""

    seeds: int | None = None
    """models of each cell, trained side by side"""

    steps: int | None = None
    """updates of each model"""

    width: int | None = None
    """hidden units of each network, at most 4 D"""

    points: int | None = None
    """of the manifold, to train on; 1,000 unless given"""

    def check(self) -> None:
        super().check()
        check_least(self, seeds=1, steps=1, width=1, points=1, dims=2, manifold_dims=0, variances=0)
        if self.variances and not any(self.variances):
            raise UserError("--variances must have one above 0: without noise there is no density to compare with")
