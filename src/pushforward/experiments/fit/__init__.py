"""A flow fitted to a density that can only be evaluated."""

from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.presets import PRESETS, SUMMARIES
from pushforward.experiments.registry import Kind

KIND = Kind(
    config=FitConfig,
    run="pushforward.experiments.fit.run:FitRun",
    train="pushforward.experiments.fit.training:run_fit",
    report="pushforward.experiments.fit.report:write_report",
    show="pushforward.experiments.fit.terminal:print_fit",
    presets=PRESETS,
    summaries=SUMMARIES,
)
