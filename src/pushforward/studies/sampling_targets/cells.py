"""Targets that samplers are compared on: each an ordinary run, with the modes that it found."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from pushforward.errors import UserError, nearest
from pushforward.experiments.cluster import Cluster
from pushforward.experiments.families import Splines
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.run import FitRun
from pushforward.experiments.posterior.config import PosteriorConfig
from pushforward.experiments.posterior.run import PosteriorRun
from pushforward.studies.base import Study, trained
from pushforward.studies.sampling_targets.config import SamplingTargetsConfig

DRAWS, LEAST_SIDE = 20_000, 0.005
SMOKE_STEPS, SMOKE_SECONDS = 300, 10.0


@dataclass(frozen=True)
class Cell:
    """A fit of a target.

    Attributes:
        name: of the target in this study.
        run: the fit.
        modes: how many of the target's modes draws of the flow are in, and how many there are; None where they have
            no names.
    """

    name: str
    run: FitRun | PosteriorRun
    modes: tuple[int, int] | None


SamplingTargetsStudy = Study[SamplingTargetsConfig, Cell]

MIXTURE: dict[str, Any] = {"flow": "planar", "length": 0, "base": "mixture", "restarts": 1, "learning_rate": 5e-3}
SPLINES: dict[str, Any] = {"flow": "nsf_coupling", "restarts": 1, "learning_rate": 2e-3}

RECIPES: dict[str, FitConfig | PosteriorConfig] = {
    "forty-gaussians": FitConfig(
        target="forty-gaussians", objective="forward-kl", spread=40.0, components=100, steps=6_000, **MIXTURE
    ),
    "ring-of-rings": FitConfig(
        target="ring-of-rings", objective="forward-kl", spread=5.0, components=200, steps=6_000, **MIXTURE
    ),
    "ten-student-t": FitConfig(
        target="ten-student-t", objective="forward-kl", spread=10.0, components=100, steps=6_000, **MIXTURE
    ),
    "ten-student-t-50": FitConfig(
        target="ten-student-t", dim=50, objective="forward-kl", spread=10.0, components=100, steps=6_000, **MIXTURE
    ),
    "many-well-32": FitConfig(
        target="many-well",
        dim=32,
        objective="alpha",
        spread=1.5,
        length=6,
        steps=10_000,
        settings=Splines(width=64),
        **SPLINES,
    ),
    "funnel-10": PosteriorConfig(target="funnel", dim=10),
    **{name: PosteriorConfig(target=name) for name in ("lgcp", "seeds", "brownian", "ionosphere", "sonar", "credit")},
}
"""How each target is fitted: many modes by annealed objectives, the others by the ladder at its defaults."""


def run_sampling_targets(config: SamplingTargetsConfig, cluster: Cluster | None = None) -> SamplingTargetsStudy:
    """Many modes, heavy tails, a Cox process, Bayesian learning: modes, log Z, ESS, ELBO, beside the literature."""
    names = config.targets or tuple(RECIPES)
    for name in names:
        if name not in RECIPES:
            raise UserError(f"unknown target of this study {name!r}{nearest(name, RECIPES)}")
    seeds = config.seeds or (1 if config.budget == "smoke" else 3)
    shorten: Callable[[Any], Any] = _shortened if config.budget == "smoke" else lambda recipe: recipe
    runs = {
        f"{name}-seed-{seed}": replace(shorten(RECIPES[name]), seed=seed)
        for seed in range(config.seed, config.seed + seeds)
        for name in names
    }
    found = trained(config, runs, cluster)
    cells = [Cell(name.rpartition("-seed-")[0], run, _modes_found(run)) for name, run in zip(runs, found)]
    return Study(config, cells)


def _shortened(recipe: FitConfig | PosteriorConfig) -> FitConfig | PosteriorConfig:
    if isinstance(recipe, FitConfig):
        return replace(recipe, steps=SMOKE_STEPS)
    return replace(recipe, seconds=SMOKE_SECONDS)


def _modes_found(run: FitRun | PosteriorRun) -> tuple[int, int] | None:
    """Modes to which at least a tenth of their share of the flow's draws is nearest, and all modes.

    Of many wells, whose modes are 2^16, the two sides of each well.
    """
    target = run.target
    if target.modes is None and not target.name.startswith("many-well"):
        return None
    draws = np.asarray(run.model.sample(jax.random.key(0), (DRAWS,)), np.float64)
    if target.modes is None:
        right = np.mean(draws[:, ::2] > 0, axis=0)
        return int(np.sum(right > LEAST_SIDE) + np.sum(right < 1 - LEAST_SIDE)), 2 * len(right)
    centres = target.modes
    squares = (centres**2).sum(axis=1) - 2 * draws @ centres.T
    counts = np.bincount(squares.argmin(axis=1), minlength=len(centres))
    return int(np.sum(counts > DRAWS / len(centres) / 10)), len(centres)
