"""A flow fitted to a density that can only be evaluated."""

from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.presets import PRESETS, SUMMARIES
from pushforward.experiments.registry import Kind, Measure

KIND = Kind(
    config=FitConfig,
    run="pushforward.experiments.fit.run:FitRun",
    train="pushforward.experiments.fit.training:run_fit",
    report="pushforward.experiments.fit.report:write_report",
    show="pushforward.experiments.fit.terminal:print_fit",
    presets=PRESETS,
    summaries=SUMMARIES,
    measures=(
        Measure("KL(q‖p)", "kl", "kl_std_error", "lowest"),
        Measure("free energy", "free_energy", "kl_std_error", "lowest"),
        Measure("ESS", "ess_fraction", better="highest", share=True),
        Measure("k-hat", "k_hat", better="lowest"),
    ),
)
