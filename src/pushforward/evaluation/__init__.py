"""How good a fit is: importance sampling, annealed or not, Pareto k-hat, quadrature; calibration; outliers."""

from pushforward.evaluation.ais import (
    AISResult,
    ais,
    linear_schedule,
    log_mean_exp,
    reverse_ais,
    sigmoidal_schedule,
    tune_step_sizes,
)
from pushforward.evaluation.calibration import Calibration, Finding, calibration
from pushforward.evaluation.coverage import Coverage, contradiction, coverage
from pushforward.evaluation.grid import GridEstimate, grid_estimate
from pushforward.evaluation.importance import ImportanceEstimate, importance_estimate, log_weights
from pushforward.evaluation.judge import Judgement, judge
from pushforward.evaluation.local import LocalC2ST, local_c2st
from pushforward.evaluation.predictive import Predictive, predictive
from pushforward.evaluation.psis import pareto_k, smoothed_weights, verdict
from pushforward.evaluation.roc import AUROC, ROC, auroc, roc_curve
from pushforward.evaluation.two_samples import c2st

__all__ = [
    "AUROC",
    "ROC",
    "AISResult",
    "Calibration",
    "Coverage",
    "Finding",
    "GridEstimate",
    "ImportanceEstimate",
    "Judgement",
    "LocalC2ST",
    "Predictive",
    "ais",
    "auroc",
    "c2st",
    "calibration",
    "contradiction",
    "coverage",
    "grid_estimate",
    "importance_estimate",
    "judge",
    "linear_schedule",
    "local_c2st",
    "log_mean_exp",
    "log_weights",
    "pareto_k",
    "predictive",
    "reverse_ais",
    "roc_curve",
    "sigmoidal_schedule",
    "smoothed_weights",
    "tune_step_sizes",
    "verdict",
]


def __dir__() -> list[str]:
    return __all__
