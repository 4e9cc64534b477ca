"""The studies by name. Each is imported when it is used: this module knows none of them."""

from dataclasses import dataclass
from typing import Any

from pushforward.errors import UserError, nearest
from pushforward.experiments.registry import resolve

STUDIES: dict[str, str] = {
    "rezende-mohamed-figure-3": "pushforward.studies.energies:FIGURE_3",
    "rezende-mohamed-figure-4": "pushforward.studies.dlgm:FIGURE_4",
    "rezende-mohamed-table-3": "pushforward.studies.dlgm:TABLE_3",
    "amortised-or-static": "pushforward.studies.dlgm:AMORTISED",
    "posterior-families": "pushforward.studies.dlgm:POSTERIORS",
    "density-of-states-grid": "pushforward.studies.density_of_states:GRID",
    "density-of-states-dimension": "pushforward.studies.density_of_states:DIMENSION",
    "density-of-states-noise": "pushforward.studies.density_of_states:NOISE",
    "density-of-states-diagonal": "pushforward.studies.density_of_states:DIAGONAL",
    "vp-bound": "pushforward.studies.density_of_states:BOUND",
    "loss-landscape": "pushforward.studies.loss_landscape:LANDSCAPE",
    "training-stability": "pushforward.studies.training_stability:STABILITY",
    "posteriordb": "pushforward.studies.posteriordb:POSTERIORDB",
    "sampling-targets": "pushforward.studies.sampling_targets:SAMPLING_TARGETS",
    "sbi-benchmark": "pushforward.studies.sbi_benchmark:SBI_BENCHMARK",
    "out-of-distribution": "pushforward.studies.out_of_distribution:OUT_OF_DISTRIBUTION",
}
"""Each study, with the `StudyKind` that says what it is."""


@dataclass(frozen=True)
class StudyKind:
    """What a study consists of. What takes long to import is given as `module:name`.

    Attributes:
        config: its settings where the command does not say otherwise, a `StudyConfig`.
        summary: a line, that `pushforward list` shows.
        cells: the function from the settings, and a Ray cluster or None, to the finished `Study`, which runs what is
            not on the disk yet.
        page: the function from the finished study to its words, table and figures, as a `Described`.
    """

    config: Any
    summary: str
    cells: str
    page: str


def study(name: str) -> StudyKind:
    """The study of this name.

    Raises:
        UserError: there is none.
    """
    if name not in STUDIES:
        raise UserError(f"unknown study {name!r}{nearest(name, STUDIES)}")
    return resolve(STUDIES[name])
