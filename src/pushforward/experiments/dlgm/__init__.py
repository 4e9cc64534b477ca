"""A deep latent Gaussian model trained on images."""

from pushforward.experiments.dlgm.config import DlgmConfig
from pushforward.experiments.dlgm.presets import PRESETS, SUMMARIES
from pushforward.experiments.registry import Kind, Measure

KIND = Kind(
    config=DlgmConfig,
    run="pushforward.experiments.dlgm.run:DlgmRun",
    train="pushforward.experiments.dlgm.training:run_dlgm",
    report="pushforward.experiments.dlgm.report:write_report",
    show="pushforward.experiments.dlgm.terminal:print_dlgm",
    presets=PRESETS,
    summaries=SUMMARIES,
    measures=(
        Measure("free energy", "free_energy", "free_energy_std_error", "lowest"),
        Measure("-log p(x), at most", "nll_iwae", "nll_iwae_std_error", "lowest"),
        Measure("active latents", "active_units"),
    ),
)
