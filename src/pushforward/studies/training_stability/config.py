"""The settings of the study of what makes training unstable. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from typing import Literal

from pushforward.errors import UserError
from pushforward.experiments.config import check_least
from pushforward.experiments.families import flag
from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class TrainingStabilityConfig(StudyConfig):
    """Flows trained with one factor changed at a time: what makes their training unstable."""

    budget: Literal["smoke", "paper"] = "smoke"
    """how much of everything that is not given: small networks and few steps, or the real thing in days"""

    manifold: str = "segment-uniform"
    """what the data lie on"""

    dim: int = 36
    """dimensions D of the data"""

    variance: float = 1e-2
    """of the noise in each dimension, s^2"""

    flows: tuple[str, ...] = ("nice", "real-vp", "real-nvp")
    """families, on one backbone"""

    controls: tuple[str, ...] = ("residual",)
    """families without a scale in their layers, at the baseline and the largest learning rate alone: they are slow"""

    learning_rates: tuple[float, ...] = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    """of Adam, at the start of a cosine schedule"""

    gradient_clips: tuple[float, ...] = (0.0, 1.0, 10.0)
    """largest global norm of a gradient; 0 for none"""

    batch_sizes: tuple[int, ...] = (8, 32, 128)
    """points a step"""

    points: tuple[int, ...] = (100, 1_000, 10_000)
    """of the manifold, to train on"""

    scales: tuple[float, ...] = (0.5, 2.0, 8.0)
    """largest log scale of an affine layer at the start, of flows that have one"""

    diagonals: tuple[str, ...] = ("matched", "trained", "none")
    """maps around the layers: standardised data and a trained base, a trained base alone, neither"""

    seeds: int | None = None
    """models of each setting, trained side by side"""

    steps: int | None = None
    """updates of each model"""

    width: int | None = None
    """hidden units of each network, at most 4 D"""

    def check(self) -> None:
        super().check()
        check_least(self, dim=2, variance=1e-12, seeds=1, steps=1, width=1, gradient_clips=0, batch_sizes=1, points=2)
        for name in ("learning_rates", "scales"):
            if not all(value > 0 for value in getattr(self, name)):
                raise UserError(f"{flag(name)} must be positive")
