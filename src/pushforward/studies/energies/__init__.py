"""Flows fitted to four energies: Rezende & Mohamed, 2015, Figure 3."""

from pushforward.studies.energies.config import EnergiesConfig
from pushforward.studies.registry import StudyKind

FIGURE_3 = StudyKind(
    config=EnergiesConfig("rezende-mohamed-figure-3"),
    summary="U1 ... U4 fitted by planar, radial and NICE flows of several lengths (Rezende & Mohamed, 2015, Figure 3).",
    cells="pushforward.studies.energies.cells:run_energies",
    page="pushforward.studies.energies.page:described",
)
