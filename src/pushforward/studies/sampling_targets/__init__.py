"""Targets that samplers are compared on, fitted and put beside published numbers."""

from pushforward.studies.registry import StudyKind
from pushforward.studies.sampling_targets.config import SamplingTargetsConfig

SAMPLING_TARGETS = StudyKind(
    config=SamplingTargetsConfig("sampling-targets"),
    summary="Many modes, heavy tails, a Cox process, Bayesian learning: modes, log Z, ESS, ELBO.",
    cells="pushforward.studies.sampling_targets.cells:run_sampling_targets",
    page="pushforward.studies.sampling_targets.page:described",
)
