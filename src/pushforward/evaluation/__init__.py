"""How good a fit is: importance sampling, annealed or not, Pareto k-hat, quadrature."""

from pushforward.evaluation.ais import (
    AISResult,
    ais,
    linear_schedule,
    log_mean_exp,
    reverse_ais,
    sigmoidal_schedule,
    tune_step_sizes,
)
from pushforward.evaluation.grid import GridEstimate, grid_estimate
from pushforward.evaluation.importance import ImportanceEstimate, importance_estimate, log_weights
from pushforward.evaluation.judge import Judgement, judge
from pushforward.evaluation.psis import pareto_k, verdict

__all__ = [
    "AISResult",
    "GridEstimate",
    "ImportanceEstimate",
    "Judgement",
    "ais",
    "grid_estimate",
    "importance_estimate",
    "judge",
    "linear_schedule",
    "log_mean_exp",
    "log_weights",
    "pareto_k",
    "reverse_ais",
    "sigmoidal_schedule",
    "tune_step_sizes",
    "verdict",
]
