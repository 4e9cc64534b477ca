"""The posterior of a model, or any other density, fitted by a ladder of approximations."""

from pushforward.experiments.posterior.config import PosteriorConfig
from pushforward.experiments.registry import Kind

KIND = Kind(
    config=PosteriorConfig,
    run="pushforward.experiments.posterior.run:PosteriorRun",
    train="pushforward.experiments.posterior.training:run_posterior",
    report="pushforward.experiments.posterior.report:write_report",
    show="pushforward.experiments.posterior.terminal:print_posterior",
    presets={},
    summaries={},
    files=("flow.pf", "draws.npz", "chains.npz", "posterior.nc"),
)
