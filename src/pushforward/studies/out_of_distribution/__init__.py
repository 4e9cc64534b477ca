"""Flows of images that are shown images of another kind."""

from pushforward.studies.out_of_distribution.config import OutOfDistributionConfig
from pushforward.studies.registry import StudyKind

OUT_OF_DISTRIBUTION = StudyKind(
    config=OutOfDistributionConfig("out-of-distribution"),
    summary="Fashion-MNIST against MNIST and back: AUROC of likelihoods and typical sets, beside densities of states.",
    cells="pushforward.studies.out_of_distribution.cells:run_out_of_distribution",
    page="pushforward.studies.out_of_distribution.page:described",
)
