"""The loss around trained flows."""

from pushforward.studies.loss_landscape.config import LandscapeConfig
from pushforward.studies.registry import StudyKind

LANDSCAPE = StudyKind(
    config=LandscapeConfig("loss-landscape"),
    summary="Loss landscapes, Hessian eigenvalues, sharpness and traces of NICE, Real VP and Real NVP on one backbone.",
    cells="pushforward.studies.loss_landscape.cells:run_landscape",
    page="pushforward.studies.loss_landscape.page:described",
)
