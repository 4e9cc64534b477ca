"""What flows of images make of images of another kind: likelihoods, typical sets, densities of states."""

import math
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from pushforward import data
from pushforward.data import Dataset
from pushforward.dequantize import bits_per_dimension
from pushforward.errors import UserError, nearest
from pushforward.evaluation import auroc
from pushforward.evaluation.means import finite_or_none
from pushforward.experiments.cluster import Cluster
from pushforward.experiments.families import Affine, Glow
from pushforward.experiments.runs import finished_run
from pushforward.experiments.session import purpose_key
from pushforward.experiments.train.config import TrainConfig
from pushforward.experiments.train.run import TrainRun
from pushforward.states import DensityOfStates, TypicalSet, compare, from_data, from_draws
from pushforward.studies.base import Cells, Study, finished_cell, measured, trained
from pushforward.studies.out_of_distribution.config import OutOfDistributionConfig

Result = dict[str, Any]
OutOfDistributionStudy = Study[OutOfDistributionConfig, Result]

REFERENCES = ("held_out", "own")
LEVEL = 0.05
RUNS = "runs"


@dataclass(frozen=True)
class Effort:
    """How much of everything; see `OutOfDistributionConfig`."""

    seeds: int
    steps: int
    length: int
    width: int
    bottleneck: int
    images: int
    draws: int


SMOKE = Effort(seeds=1, steps=1_000, length=2, width=16, bottleneck=32, images=1_000, draws=1_000)
PAPER = Effort(seeds=3, steps=250_000, length=16, width=200, bottleneck=100, images=10_000, draws=10_000)

FLOWS: dict[str, dict[str, Any]] = {
    "glow": {"flow": "glow", "settings": Glow(mixing="lu")},
    "real-nvp": {"flow": "glow", "settings": Glow(mixing="permutation")},
    "bottleneck": {"flow": "real_nvp", "settings": Affine(), "base": "trained-normal"},
}
"""Multi-scale flows with convolutions, and one of whole images whose networks are narrow."""


@dataclass(frozen=True)
class Cell:
    """A flow trained on one set of images and shown another.

    Attributes:
        config: how it is trained.
        flow: its name in the study.
        outliers: the other set.
    """

    config: TrainConfig
    flow: str
    outliers: str

    @property
    def run_name(self) -> str:
        """What the folder of the trained flow is called; cells with other outliers share it."""
        return f"{Path(self.config.data).stem}-{self.flow}-seed-{self.config.seed}"

    @property
    def name(self) -> str:
        """What its file is called."""
        return f"{self.run_name}-against-{Path(self.outliers).stem}"


def run_out_of_distribution(config: OutOfDistributionConfig, cluster: Cluster | None = None) -> OutOfDistributionStudy:
    """Fashion-MNIST against MNIST and back: AUROC of likelihoods and typical sets, beside the densities of states."""
    effort = SMOKE if config.budget == "smoke" else PAPER
    given = {name: value for name in asdict(effort) if (value := getattr(config, name)) is not None}
    effort = replace(effort, **given)
    cells = list(_cells(config, effort))
    _check_data(config, effort)
    groups = 1, *config.groups
    files = [
        Cells.one(
            config.folder / "cells" / f"{cell.name}.json",
            {
                "images": effort.images,
                "draws": effort.draws,
                "groups": list(groups),
                "training": _trained_by(cell.config),
            },
            f"{__name__}:measure",
            *(cell, config.folder.absolute() / RUNS / cell.run_name, effort, groups),
        )
        for cell in cells
    ]
    waiting = [cell for cell, each in zip(cells, files) if not finished_cell(each.paths[0], each.settings)]
    trained(config, {cell.run_name: cell.config for cell in waiting}, cluster, RUNS)
    return Study(config, measured(config, files, cluster))


def _trained_by(config: TrainConfig) -> str:
    """The command of a cell's training, with the mixing of Glow, which finished cells of earlier versions name."""
    return re.sub(r"(--flow glow --length \d+)(?! --mixing)", r"\1 --mixing lu", config.command())


def _cells(config: OutOfDistributionConfig, effort: Effort) -> Iterator[Cell]:
    for name in config.flows:
        if name not in FLOWS:
            raise UserError(f"unknown flow {name!r}{nearest(name, FLOWS)}; there are {', '.join(FLOWS)}")
    for seed in range(config.seed, config.seed + effort.seeds):
        for source in config.data:
            for name in config.flows:
                dense = name == "bottleneck"
                width = effort.bottleneck if dense else effort.width
                made = FLOWS[name] | {"settings": replace(FLOWS[name]["settings"], width=width)}
                training = TrainConfig(
                    data=source,
                    # Two levels of a multi-scale flow have as many couplings.
                    length=2 * effort.length if dense else effort.length,
                    batch_size=32,
                    steps=effort.steps,
                    validation=0.05,
                    validate_every=max(1, effort.steps // 10),
                    patience=0,
                    average_decay=0.0,
                    seed=seed,
                    **made,
                )
                yield from (Cell(training, name, other) for other in config.data if other != source)


def _check_data(config: OutOfDistributionConfig, effort: Effort) -> None:
    """Refuse data that are not images of one kind, or too few."""
    first, *others = (data.load(source, seed=config.seed) for source in config.data)
    for each in (first, *others):
        if each.levels is None:
            raise UserError(f"{each.name} holds no images")
        if (each.shape, each.levels) != (first.shape, first.levels):
            raise UserError(f"{_kind(first)}, {_kind(each)}: a flow of the one has no density for the other")
        used, largest = min(effort.images, len(each.test)), max(config.groups)
        if used < 2 * largest:
            raise UserError(f"{used} test images of {each.name} do not make 2 groups of {largest}; see --groups")


def _kind(dataset: Dataset) -> str:
    return f"{dataset.name} holds images of shape {dataset.shape} in {dataset.levels} levels"


def measure(cell: Cell, folder: Path, effort: Effort, groups: tuple[int, ...]) -> Result:
    """Every number about a cell; log-densities are in nats, and of densities per grey level."""
    run: TrainRun = finished_run(cell.config, folder)
    model, config, shape = run.model, run.config, run.dataset.shape
    dim, rng = math.prod(shape), np.random.default_rng(config.seed)
    images = {
        "inliers": run.dataset.test,
        "outliers": data.load(cell.outliers, seed=config.seed).test,
        "held_out": run.dataset.validation,
    }
    chosen = {name: each[rng.permutation(len(each))[: effort.images]] for name, each in images.items()}
    laws = {name: from_data(model, each) for name, each in chosen.items()}
    own = from_draws(model.flow, purpose_key(config, 5), effort.draws)
    laws["own"] = own.shift(-dim * math.log(model.noise.levels))
    inliers, outliers = (rng.permutation(_values(laws[name])) for name in ("inliers", "outliers"))
    return {
        "data": Path(config.data).stem,
        "outliers": Path(cell.outliers).stem,
        "flow": cell.flow,
        "seed": config.seed,
        "dim": dim,
        "run": cell.run_name,
        "best_step": run.result["best_step"],
        "train_bits_per_dimension": bits_per_dimension(run.result["train_log_likelihood"], shape),
        "laws": {name: _moments(law, shape) for name, law in laws.items()},
        "distances": {
            # The KL of laws that do not overlap is infinite.
            name: jax.tree.map(finite_or_none, asdict(compare(laws["inliers"], laws[name], dim)))
            for name in ("outliers", "own", "held_out")
        },
        "detection": [_detection(inliers, outliers, laws, size) for size in groups],
        "log_densities": {name: np.round(_values(law), 2).tolist() for name, law in laws.items()},
        "seconds": run.result["seconds"],
        "command": config.command(),
    }


def _moments(law: DensityOfStates, shape: tuple[int, ...]) -> dict[str, float | int | None]:
    return {
        "count": law.sample_size,
        "mean": law.mean,
        "standard_deviation": math.sqrt(law.variance),
        "variance_over_half_dim": 2 * law.variance / math.prod(shape),
        "bits_per_dimension": bits_per_dimension(law.mean, shape),
    }


def _values(law: DensityOfStates) -> Float[np.ndarray, " n"]:
    """The log-densities behind a law, ascending."""
    assert law.sample_size is not None
    return law.quantile((np.arange(law.sample_size) + 0.5) / law.sample_size)


def _detection(
    inliers: Float[np.ndarray, " m"], outliers: Float[np.ndarray, " n"], laws: dict[str, DensityOfStates], size: int
) -> Result:
    """AUROC of each score with groups of one size, and what the two-sided test rejects at a level of 5%."""
    inliers, outliers = (values[: len(values) // size * size] for values in (inliers, outliers))
    # Groups of equal size: the mean says what the sum says.
    scores = {"likelihood": [-values.reshape(-1, size).mean(axis=1) for values in (inliers, outliers)]}
    rejected = {}
    for name in REFERENCES:
        typical = TypicalSet(laws[name], size)
        scores[f"distance_{name}"] = [typical.distances(values) for values in (inliers, outliers)]
        p_values = [typical.p_values(values) for values in (inliers, outliers)]
        scores[f"two_sided_{name}"] = [-p for p in p_values]
        rejected[name] = dict(zip(("inliers", "outliers"), (float(np.mean(p <= LEVEL)) for p in p_values)))
    return {
        "group_size": size,
        "groups": {"inliers": len(inliers) // size, "outliers": len(outliers) // size},
        "auroc": {name: asdict(auroc(inside, outside)) for name, (inside, outside) in scores.items()},
        "rejected": rejected,
    }
