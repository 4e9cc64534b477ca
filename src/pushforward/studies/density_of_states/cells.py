"""What volume preservation costs on inflated manifolds: the grid of a thesis on densities of states, and beyond."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby, product
from typing import Any

import jax
import numpy as np

from pushforward import training
from pushforward.evaluation.means import mean_interval
from pushforward.experiments.cluster import Cluster
from pushforward.studies.base import Cells, Study, finished_cell, measured
from pushforward.studies.density_of_states.config import StatesStudyConfig
from pushforward.studies.density_of_states.data import DIAGONALS, Cell
from pushforward.studies.density_of_states.effort import PAPER, SMOKE, Effort
from pushforward.studies.density_of_states.measures import judged, measure
from pushforward.studies.density_of_states.training import check_cell, train_together

Result = dict[str, Any]
StatesStudy = Study[StatesStudyConfig, Result]


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


def run_grid(config: StatesStudyConfig, cluster: Cluster | None = None) -> StatesStudy:
    """Segments x D x noise x NICE, Real VP, Real NVP: the grid of the thesis on densities of states, 5 seeds a cell."""
    return _run(config, GRID, cluster)


def run_dimension(config: StatesStudyConfig, cluster: Cluster | None = None) -> StatesStudy:
    """Manifolds of d = 1 to 35 dimensions in D = 36: up to which d/D volume preservation costs nothing."""
    return _run(config, DIMENSION, cluster)


def run_noise(config: StatesStudyConfig, cluster: Cluster | None = None) -> StatesStudy:
    """Noise that matches the base of the flow, and noise that does not."""
    return _run(config, NOISE, cluster)


def run_diagonal(config: StatesStudyConfig, cluster: Cluster | None = None) -> StatesStudy:
    """What a final diagonal scale is worth, trained, fixed or matched to the noise, and to Real NVP too."""
    return _run(config, DIAGONAL, cluster)


def run_bound(config: StatesStudyConfig, cluster: Cluster | None = None) -> StatesStudy:
    """What six families lose on six manifolds in D = 4, beside the bound that no volume-preserving one can pass."""
    return _run(config, BOUND, cluster)


def _run(config: StatesStudyConfig, axes: Axes, cluster: Cluster | None) -> StatesStudy:
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
    folder = config.folder / "cells"
    settings = {**asdict(effort), "seed": config.seed}
    waiting = [cell for cell in cells if not finished_cell(folder / f"{cell.name}.json", settings)]
    together = [
        Cells(
            tuple(folder / f"{cell.name}.json" for cell in group),
            settings,
            f"{__name__}:measure_together",
            (group, effort, config.seed),
        )
        for group in groups_of(waiting, effort)
    ]
    measured(config, together, cluster)
    return Study(config, [json.loads((folder / f"{cell.name}.json").read_text()) for cell in cells])


def groups_of(cells: Sequence[Cell], effort: Effort) -> list[list[Cell]]:
    """Cells that are trained in one program: those of one D, flow, base, diagonal and kind of noise.

    They are as many at a time as `effort` allows. The result of a cell does not depend on the cells beside it, but for
    rounding.

    Raises:
        UserError: a cell has an unknown name in it, or its density is not known exactly.
    """
    for cell in cells:
        check_cell(cell)

    def program(cell: Cell) -> tuple[Any, ...]:
        return cell.dim, cell.flow, cell.noise, cell.base, cell.diagonal

    at_once = max(1, effort.side_by_side // effort.seeds)
    groups = []
    for _, group in groupby(sorted(cells, key=program), key=program):
        alike = list(group)
        groups += [alike[start : start + at_once] for start in range(0, len(alike), at_once)]
    return groups


def measure_together(cells: list[Cell], effort: Effort, seed: int) -> list[dict[str, Any]]:
    """The results of cells of one group."""
    trained, data = train_together(cells, effort, seed)
    found = measure(trained.model, data, jax.random.fold_in(jax.random.key(seed), 3))
    assert trained.best_steps is not None
    seconds = trained.records[-1].seconds / len(cells)
    results = []
    for index, each in enumerate(data):
        members = range(index * effort.seeds, (index + 1) * effort.seeds)
        rows = [
            {
                **judged(each, training.member(trained.model.flow, i), training.member(found, i)),
                "best_step": int(trained.best_steps[i]),
                "diverged_at": (divergence := trained.divergences[i]) and divergence.step,
            }
            for i in members
        ]
        result = {"cell": asdict(each.cell), "truth": each.truth, "members": rows, "seconds": seconds}
        if each.log_p is not None:
            gaps = each.log_p - np.asarray(found.log_q[members.start : members.stop], np.float64)
            result["intervals"] = {"kl": mean_interval(gaps)}
        results.append(result)
    return results
