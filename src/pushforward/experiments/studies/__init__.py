"""Studies: what reproduces a figure or a table of a paper."""

from collections.abc import Callable
from typing import Any

from pushforward.errors import UserError, nearest
from pushforward.experiments.studies.base import Study
from pushforward.experiments.studies.density_of_states import (
    run_bound,
    run_diagonal,
    run_dimension,
    run_grid,
    run_noise,
)
from pushforward.experiments.studies.dlgm import run_amortised_or_static, run_figure_4, run_table_3
from pushforward.experiments.studies.loss_landscape import run_landscape
from pushforward.experiments.studies.out_of_distribution import run_out_of_distribution
from pushforward.experiments.studies.rezende_mohamed_figure_3 import run_energies
from pushforward.experiments.studies.training_stability import run_training_stability
from pushforward.experiments.study_config import StudyConfig

__all__ = ["STUDIES", "Study", "run_study"]

STUDIES: dict[str, Callable[[Any], Study[Any, Any]]] = {
    "rezende-mohamed-figure-3": run_energies,
    "rezende-mohamed-figure-4": run_figure_4,
    "rezende-mohamed-table-3": run_table_3,
    "amortised-or-static": run_amortised_or_static,
    "density-of-states-grid": run_grid,
    "density-of-states-dimension": run_dimension,
    "density-of-states-noise": run_noise,
    "density-of-states-diagonal": run_diagonal,
    "vp-bound": run_bound,
    "loss-landscape": run_landscape,
    "training-stability": run_training_stability,
    "out-of-distribution": run_out_of_distribution,
}


def run_study(config: StudyConfig) -> Study[Any, Any]:
    """Run every cell of a study that is not finished yet.

    Raises:
        UserError: there is no such study, or one of its cells cannot be run.
    """
    if config.study not in STUDIES:
        raise UserError(f"unknown study {config.study!r}{nearest(config.study, STUDIES)}")
    config.check()
    return STUDIES[config.study](config)
