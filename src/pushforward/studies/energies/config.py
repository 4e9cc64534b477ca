"""The settings of flows fitted to energies. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass

from pushforward.studies.config import StudyConfig


@dataclass(frozen=True)
class EnergiesConfig(StudyConfig):
    """Flows fitted to energies."""

    targets: tuple[str, ...] = ("u1", "u2", "u3", "u4")
    """rows of the figure"""

    flows: tuple[str, ...] = ("planar", "radial", "nice")
    """families beside each other"""

    lengths: tuple[int, ...] = (2, 8, 32)
    """layers, K"""

    restarts: int = 8
    """independent starts of each cell; the best is kept"""

    steps: int = 20_000
    """updates of each cell"""
