"""The posterior of a simulator's parameters, from simulations."""

from pushforward.experiments.infer.config import InferConfig
from pushforward.experiments.registry import Kind, Measure

KIND = Kind(
    config=InferConfig,
    run="pushforward.experiments.infer.run:InferRun",
    train="pushforward.experiments.infer.training:run_infer",
    report="pushforward.experiments.infer.report:write_report",
    show="pushforward.experiments.infer.terminal:print_infer",
    presets={},
    summaries={},
    measures=(Measure("test log-density", "test_log_likelihood", better="highest"),),
    files=("flow.pf", "draws.npz", "calibration.npz", "predictive.npz", "simulations"),
)
