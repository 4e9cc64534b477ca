"""Rezende & Mohamed, 2015, "Variational Inference with Normalizing Flows", Figure 3, with numbers."""

from itertools import product

from pushforward.experiments.cluster import Cluster
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.run import FitRun
from pushforward.studies.base import Study, trained
from pushforward.studies.energies.config import EnergiesConfig

EnergiesStudy = Study[EnergiesConfig, FitRun]


def run_energies(config: EnergiesConfig, cluster: Cluster | None = None) -> EnergiesStudy:
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
    named = {f"{cell.target}-{cell.flow}-{cell.length}": cell for cell in cells}
    return Study(config, trained(config, named, cluster))
