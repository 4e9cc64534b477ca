"""How good a fit is: importance sampling, Pareto k-hat, quadrature."""

from pushforward.evaluation.grid import GridEstimate, grid_estimate
from pushforward.evaluation.importance import ImportanceEstimate, importance_estimate, log_weights
from pushforward.evaluation.judge import Judgement, judge
from pushforward.evaluation.psis import pareto_k, verdict

__all__ = [
    "GridEstimate",
    "ImportanceEstimate",
    "Judgement",
    "grid_estimate",
    "importance_estimate",
    "judge",
    "log_weights",
    "pareto_k",
    "verdict",
]
