"""What makes the training of flows unstable."""

from pushforward.studies.registry import StudyKind
from pushforward.studies.training_stability.config import TrainingStabilityConfig

STABILITY = StudyKind(
    config=TrainingStabilityConfig("training-stability"),
    summary="Clipping, learning rate, batch, data size, bounded scales and standardisation, one at a time.",
    cells="pushforward.studies.training_stability.cells:run_training_stability",
    page="pushforward.studies.training_stability.page:described",
)
