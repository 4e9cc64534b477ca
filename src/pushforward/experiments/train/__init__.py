"""A flow trained on data by maximum likelihood."""

from pushforward.experiments.registry import Kind
from pushforward.experiments.train.config import TrainConfig
from pushforward.experiments.train.presets import PRESETS, SUMMARIES

KIND = Kind(
    config=TrainConfig,
    run="pushforward.experiments.train.run:TrainRun",
    train="pushforward.experiments.train.training:run_train",
    report="pushforward.experiments.train.report:write_report",
    show="pushforward.experiments.train.terminal:print_train",
    presets=PRESETS,
    summaries=SUMMARIES,
)
