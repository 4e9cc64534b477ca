"""Studies: what reproduces a figure or a table of a paper."""

from collections.abc import Callable

from pushforward.errors import UserError, nearest
from pushforward.experiments.config import StudyConfig
from pushforward.experiments.studies.rezende_mohamed_figure_3 import Study, run_energies

__all__ = ["STUDIES", "Study", "run_study"]

STUDIES: dict[str, Callable[[StudyConfig], Study]] = {"rezende-mohamed-figure-3": run_energies}


def run_study(config: StudyConfig) -> Study:
    """Run every cell of a study that is not finished yet.

    Raises:
        UserError: there is no such study, or one of its cells cannot be run.
    """
    if config.study not in STUDIES:
        raise UserError(f"unknown study {config.study!r}{nearest(config.study, STUDIES)}")
    return STUDIES[config.study](config)
