"""Posteriors of posteriordb, fitted at the defaults, beside guides, Pathfinder and NUTS."""

from pushforward.studies.posteriordb.config import PosteriordbConfig
from pushforward.studies.registry import StudyKind

POSTERIORDB = StudyKind(
    config=PosteriordbConfig("posteriordb"),
    summary="46 posteriors of posteriordb against their reference draws: fit, NumPyro's guides, Pathfinder, NUTS.",
    cells="pushforward.studies.posteriordb.cells:run_posteriordb",
    page="pushforward.studies.posteriordb.page:described",
)
