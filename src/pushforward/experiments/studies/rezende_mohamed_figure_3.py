"""Rezende & Mohamed, 2015, "Variational Inference with Normalizing Flows", Figure 3, with numbers."""

from dataclasses import dataclass
from itertools import product
from pathlib import Path

from pushforward.errors import UserError
from pushforward.experiments.config import FitConfig, StudyConfig
from pushforward.experiments.fit import run_fit
from pushforward.experiments.runs import FitRun, open_run, start_run


@dataclass(frozen=True)
class Study:
    """A finished study.

    Attributes:
        config: its settings.
        folder: where it is.
        runs: its cells, target by target, family by family, from short to long.
    """

    config: StudyConfig
    folder: Path
    runs: list[FitRun]


def run_energies(config: StudyConfig) -> Study:
    """U1 ... U4 fitted by planar, radial and NICE flows of several lengths (Rezende & Mohamed, 2015, Figure 3)."""
    folder = config.out or Path("runs") / config.study
    cells = [
        FitConfig(
            target=target,
            flow=flow,
            length=length,
            restarts=config.restarts,
            steps=config.steps,
            seed=config.seed,
            frames=0,
        )
        for target, flow, length in product(config.targets, config.flows, sorted(config.lengths))
    ]
    return Study(config, folder, [_finished_run(cell, folder / "cells") for cell in cells])


def _finished_run(config: FitConfig, parent: Path) -> FitRun:
    folder = parent / f"{config.target}-{config.flow}-{config.length}"
    run = open_run(folder) if folder.is_dir() else start_run(config, folder, force=False)
    if not isinstance(run, FitRun) or run.config != config:
        raise UserError(f"{folder} holds another run; choose another --out")
    if not run.finished:
        run_fit(run)
    return run
