"""Why flows of varying volume may train worse: the loss around them, its curvature, and how their parameters move."""

import json
from dataclasses import asdict
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pushforward import stability, training
from pushforward.evaluation.means import numbers
from pushforward.experiments.cluster import Cluster
from pushforward.objectives import HeldOut
from pushforward.studies.base import Cells, Study, measured
from pushforward.studies.density_of_states.data import Cell
from pushforward.studies.density_of_states.effort import Effort
from pushforward.studies.density_of_states.traced import log_densities, train_traced
from pushforward.studies.loss_landscape.config import LandscapeConfig

Result = dict[str, Any]
LandscapeStudy = Study[LandscapeConfig, Result]

SMOKE = {"steps": 4_000, "width": 64}
PAPER = {"steps": 50_000, "width": 784}
DEPTH = 2
ROWS = 1_000
WINDOWS = 50


def run_landscape(config: LandscapeConfig, cluster: Cluster | None = None) -> LandscapeStudy:
    """Loss landscapes, Hessian eigenvalues, sharpness and traces of NICE, Real VP and Real NVP on one backbone."""
    default = SMOKE if config.budget == "smoke" else PAPER
    size = {name: value if (given := getattr(config, name)) is None else given for name, value in default.items()}
    effort = Effort(config.seeds, batch_size=32, length=10, depth=DEPTH, side_by_side=config.seeds, **size)
    settings = json.loads(
        json.dumps({**asdict(config), **size, "study": "", "budget": "", "out": None, "results": None, "flows": []})
    )
    cells = [Cell(config.manifold, config.dim, "normal", config.variance, flow) for flow in config.flows]
    files = [
        Cells.one(
            config.folder / "cells" / f"{cell.flow}.json", settings, f"{__name__}:measure", *(cell, effort, config)
        )
        for cell in cells
    ]
    return Study(config, measured(config, files, cluster))


def measure(cell: Cell, effort: Effort, config: LandscapeConfig) -> Result:
    """Every number about a flow."""
    window = max(1, effort.steps // WINDOWS)
    trained, data, trace = train_traced(cell, effort, config.seed, window)
    flow = training.member(trained.model.flow, 0)
    groups = {"all": None, **stability.parameter_groups(flow)}
    loss = HeldOut(jnp.asarray(data.test[:ROWS]))
    key = jax.random.key(config.seed)
    around = partial(stability.landscape, flow, loss, radius=config.radius, points=config.points)
    eigenvalues = {name: stability.top_eigenvalues(flow, loss, key, mask=mask) for name, mask in groups.items()}
    assert data.log_p is not None
    kl = np.mean(data.log_p - np.asarray(log_densities(trained.model.flow, data.test), np.float64), axis=1)
    kept = [divergence is None for divergence in trained.divergences]
    return {
        "flow": cell.flow,
        "landscapes": {
            name: numbers(around(stability.random_directions(flow, key, mask=groups[name])).loss)
            for name in ("all", "rest")
        },
        "eigenvalues": {name: float(found.values[0]) for name, found in eigenvalues.items()},
        "eigenvalue_errors": {name: float(found.errors[0]) for name, found in eigenvalues.items()},
        "sharpness": {name: float(stability.sharpness(flow, loss, mask=mask)) for name, mask in groups.items()},
        "kl": asdict(stability.seed_spread(np.where(kept, kl, np.nan))),
        "trace": {
            "steps": trace.steps.tolist(),
            "weight_change": {name: numbers(values) for name, values in trace.weight_change.items()},
            "gradient_norm": {name: numbers(values) for name, values in trace.gradient_norm.items()},
        },
        "seconds": trained.records[-1].seconds,
    }
