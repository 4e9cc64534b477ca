"""Rezende & Mohamed, 2015, "Variational Inference with Normalizing Flows", Figure 3, with numbers."""

from itertools import product

from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.run import FitRun
from pushforward.experiments.runs import finished_run
from pushforward.studies.base import Study
from pushforward.studies.energies.config import EnergiesConfig

EnergiesStudy = Study[EnergiesConfig, FitRun]


def run_energies(config: EnergiesConfig) -> EnergiesStudy:
    """U1 ... U4 fitted by planar, radial and NICE flows of several lengths (Rezende & Mohamed, 2015, Figure 3)."""
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
    names = [f"{cell.target}-{cell.flow}-{cell.length}" for cell in cells]
    folder = config.folder / "cells"
    return Study(config, [finished_run(cell, folder / name) for cell, name in zip(cells, names)])
