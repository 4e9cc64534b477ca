"""What volume preservation costs on inflated manifolds: the grid of a thesis on densities of states, and beyond."""

import json
from dataclasses import asdict, dataclass, replace
from itertools import product
from typing import Any

from pushforward.experiments.inflated import Effort, check_cell, run_cells
from pushforward.experiments.inflated_data import DIAGONALS, Cell
from pushforward.experiments.progress import counting_progress
from pushforward.experiments.runs import environment
from pushforward.experiments.studies.base import Study, finished_cell, write_cell
from pushforward.experiments.study_config import StatesStudyConfig

Result = dict[str, Any]
StatesStudy = Study[StatesStudyConfig, Result]

SMOKE = Effort(seeds=5, steps=400, batch_size=32, length=10, width=32, depth=2, side_by_side=100)
PAPER = Effort(
    seeds=5,
    steps=50_000,
    batch_size=32,
    length=10,
    width=784,
    depth=3,
    side_by_side=5,
    validate_every=250,
    patience=10_000,
)


@dataclass(frozen=True)
class Axes:
    """What a study runs over, where its command does not say otherwise."""

    manifolds: tuple[str, ...]
    dims: tuple[int, ...]
    noises: tuple[str, ...]
    variances: tuple[float, ...]
    flows: tuple[str, ...]
    bases: tuple[str, ...] = ("normal",)
    diagonals: tuple[str, ...] = ("matched",)
    manifold_dims: tuple[int, ...] | tuple[None] = (None,)


SEGMENTS = ("segment-uniform", "segment-von-mises", "segment-smooth-step")
GRID = Axes(
    SEGMENTS, (2, 36, 100, 196), ("normal", "uniform"), (0.0, 1e-6, 1e-4, 1e-2, 1e-1), ("nice", "real-vp", "real-nvp")
)
DIMENSION = Axes(
    ("segment-uniform", "sphere"),
    (36,),
    ("normal",),
    (1e-2,),
    ("nice", "real-vp", "real-nvp", "vp-nvp"),
    manifold_dims=(1, 2, 4, 9, 18, 35),
)
NOISE = Axes(
    ("segment-uniform", "segment-smooth-step"),
    (2, 36),
    ("normal", "uniform", "student-t"),
    (1e-2,),
    ("nice", "real-nvp"),
    ("normal", "scaled-normal", "student-t", "uniform", "families"),
)
DIAGONAL = Axes(
    ("segment-uniform", "segment-smooth-step"),
    (36,),
    ("normal",),
    (1e-4, 1e-2),
    ("nice", "real-vp", "real-nvp"),
    diagonals=DIAGONALS,
)
BOUND = Axes(
    ("segment-uniform", "segment-smooth-step", "circle", "disc", "ring-torus", "swiss-roll"),
    (4,),
    ("normal",),
    (1e-2,),
    ("nice", "real-vp", "vp-nvp", "real-nvp", "residual", "spline"),
)


def run_grid(config: StatesStudyConfig) -> StatesStudy:
    """Segments x D x noise x NICE, Real VP, Real NVP: the grid of the thesis on densities of states, 5 seeds a cell."""
    return _run(config, GRID)


def run_dimension(config: StatesStudyConfig) -> StatesStudy:
    """Manifolds of d = 1 to 35 dimensions in D = 36: up to which d/D volume preservation costs nothing."""
    return _run(config, DIMENSION)


def run_noise(config: StatesStudyConfig) -> StatesStudy:
    """Noise that matches the base of the flow, and noise that does not."""
    return _run(config, NOISE)


def run_diagonal(config: StatesStudyConfig) -> StatesStudy:
    """What a final diagonal scale is worth, trained, fixed or matched to the noise, and to Real NVP too."""
    return _run(config, DIAGONAL)


def run_bound(config: StatesStudyConfig) -> StatesStudy:
    """What six families lose on six manifolds in D = 4, beside the bound that no volume-preserving one can pass."""
    return _run(config, BOUND)


def _run(config: StatesStudyConfig, axes: Axes) -> StatesStudy:
    """Every cell that is not on the disk yet; each is written as soon as it is done."""
    given = {name: getattr(config, name) for name in vars(axes) if getattr(config, name) is not None}
    axes = replace(axes, **given)
    effort = SMOKE if config.budget == "smoke" else PAPER
    given = {
        name: getattr(config, name)
        for name in ("seeds", "steps", "width", "points")
        if getattr(config, name) is not None
    }
    effort = replace(effort, **given)
    cells = [
        Cell(manifold, dim, noise, variance, flow, base, diagonal, manifold_dim)
        for manifold, manifold_dim, dim, noise, variance, flow, base, diagonal in product(
            axes.manifolds,
            axes.manifold_dims,
            axes.dims,
            axes.noises,
            axes.variances,
            axes.flows,
            axes.bases,
            axes.diagonals,
        )
    ]
    for cell in cells:
        check_cell(cell)
    folder = config.folder / "cells"
    settings = {**asdict(effort), "seed": config.seed}
    waiting = [cell for cell in cells if not finished_cell(folder / f"{cell.name}.json", settings)]
    folder.mkdir(parents=True, exist_ok=True)
    with counting_progress(config.study, len(cells), "cells") as on_progress:
        done = len(cells) - len(waiting)

        def write(cell: Cell, result: Result) -> None:
            nonlocal done
            write_cell(folder / f"{cell.name}.json", {**result, "settings": settings, "environment": environment()})
            done += 1
            on_progress(done)

        run_cells(waiting, effort, config.seed, write)
    return Study(config, [json.loads((folder / f"{cell.name}.json").read_text()) for cell in cells])
