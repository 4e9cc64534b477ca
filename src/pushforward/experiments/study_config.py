"""The settings of every study. Light to import: `--help` needs nothing else."""

import shlex
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal

import tyro

from pushforward.errors import UserError
from pushforward.experiments.config import changed_flags, check_least, flag


@dataclass(frozen=True)
class StudyConfig:
    """A study: a table and a figure made of many runs."""

    study: tyro.conf.Positional[str] = ""
    """a name that `pushforward list` shows"""

    out: Path | None = None
    """folder of the study; runs/STUDY unless given"""

    results: Path | None = None
    """another folder for its table and figure"""

    seed: int = 0
    """of every random number"""

    @property
    def folder(self) -> Path:
        """Where its runs are."""
        return self.out or Path("runs") / self.study

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        check_least("seed", self.seed, 0)
        for f in fields(self):
            if isinstance(value := getattr(self, f.name), tuple) and not value:
                raise UserError(f"{flag(f.name)} must not be empty")

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        default = STUDY_CONFIGS.get(self.study, StudyConfig())
        words = changed_flags(self, default, {"study", "out", "results"})
        return shlex.join(["pushforward", "reproduce", self.study, *words])


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
        least = {"seeds": 1, "steps": 1, "images": 1, "draws": 1, "annealed_images": 0, "chains": 1, "temperatures": 2}
        for name, bound in least.items():
            check_least(name, getattr(self, name), bound)


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
        for name in ("seeds", "steps", "width", "points"):
            check_least(name, getattr(self, name), 1)
        for name, least in (("dims", 2), ("manifold_dims", 0), ("variances", 0)):
            for value in getattr(self, name) or ():
                check_least(name, value, least)
        if self.variances and not any(self.variances):
            raise UserError("--variances must have one above 0: without noise there is no density to compare with")


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
        for name, least in (("dim", 2), ("variance", 1e-12), ("seeds", 1), ("steps", 1), ("width", 1), ("points", 3)):
            check_least(name, getattr(self, name), least)
        if self.points % 2 == 0:
            raise UserError(f"--points must be odd, got {self.points}")
        if not self.radius > 0:
            raise UserError(f"--radius must be positive, got {self.radius}")


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
        for name, least in (("dim", 2), ("variance", 1e-12), ("seeds", 1), ("steps", 1), ("width", 1)):
            check_least(name, getattr(self, name), least)
        for name, least in (("gradient_clips", 0), ("batch_sizes", 1), ("points", 2)):
            for value in getattr(self, name):
                check_least(name, value, least)
        for name in ("learning_rates", "scales"):
            if not all(value > 0 for value in getattr(self, name)):
                raise UserError(f"{flag(name)} must be positive")


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
        for name in ("seeds", "steps", "length", "width", "bottleneck"):
            check_least(name, getattr(self, name), 1)
        for name in ("images", "draws"):
            check_least(name, getattr(self, name), 10)
        for size in self.groups:
            check_least("groups", size, 2)
        if len({Path(source).stem for source in self.data}) < max(2, len(self.data)):
            raise UserError("--data must be two sets of images or more, with names that differ")


STUDY_CONFIGS: dict[str, StudyConfig] = {
    "rezende-mohamed-figure-3": EnergiesConfig("rezende-mohamed-figure-3"),
    "rezende-mohamed-figure-4": DlgmStudyConfig("rezende-mohamed-figure-4"),
    "rezende-mohamed-table-3": DlgmStudyConfig("rezende-mohamed-table-3"),
    "amortised-or-static": DlgmStudyConfig("amortised-or-static"),
    "density-of-states-grid": StatesStudyConfig("density-of-states-grid"),
    "density-of-states-dimension": StatesStudyConfig("density-of-states-dimension"),
    "density-of-states-noise": StatesStudyConfig("density-of-states-noise"),
    "density-of-states-diagonal": StatesStudyConfig("density-of-states-diagonal"),
    "vp-bound": StatesStudyConfig("vp-bound"),
    "loss-landscape": LandscapeConfig("loss-landscape"),
    "training-stability": TrainingStabilityConfig("training-stability"),
    "out-of-distribution": OutOfDistributionConfig("out-of-distribution"),
}
