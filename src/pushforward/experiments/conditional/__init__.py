"""A density of some columns given others, trained on data by maximum likelihood."""

from pushforward.experiments.registry import Kind
from pushforward.experiments.train import LIKELIHOODS
from pushforward.experiments.train.config import ConditionalConfig

KIND = Kind(
    config=ConditionalConfig,
    run="pushforward.experiments.conditional.run:ConditionalRun",
    train="pushforward.experiments.conditional.training:run_conditional",
    report="pushforward.experiments.conditional.report:write_report",
    show="pushforward.experiments.conditional.terminal:print_conditional",
    presets={},
    summaries={},
    measures=LIKELIHOODS,
    files=("calibration.npz",),
)
