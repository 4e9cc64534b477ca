"""The posterior of a model, or any other density, fitted by a ladder of approximations."""

from pushforward.experiments.posterior.config import PosteriorConfig
from pushforward.experiments.registry import Kind, Measure

KIND = Kind(
    config=PosteriorConfig,
    run="pushforward.experiments.posterior.run:PosteriorRun",
    train="pushforward.experiments.posterior.training:run_posterior",
    report="pushforward.experiments.posterior.report:write_report",
    show="pushforward.experiments.posterior.terminal:print_posterior",
    presets={},
    summaries={},
    measures=(
        Measure("ELBO", "best.elbo", "best.elbo_std_error", "highest"),
        Measure("log Z", "best.log_z", "best.log_z_std_error"),
        Measure("ESS", "best.ess_fraction", better="highest", share=True),
        Measure("k-hat", "best.k_hat", better="lowest"),
    ),
    files=("flow.pf", "draws.npz", "chains.npz", "posterior.nc"),
)
