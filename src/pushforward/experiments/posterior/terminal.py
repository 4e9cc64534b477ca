"""What the command line prints of a posterior."""

from pathlib import Path

from rich.markup import escape

from pushforward.experiments.posterior.run import NETCDF, PosteriorRun
from pushforward.experiments.summaries import print_summary
from pushforward.experiments.terminal import wide_console


def print_posterior(run: PosteriorRun, report: Path) -> None:
    """The numbers of a posterior, how far they can be trusted, and where the draws and the report are."""
    console, result = wide_console(), run.result
    if not result["trusted"]:
        console.print(f"[yellow]not to be trusted:[/] {escape(result['verdict'])}", soft_wrap=True, highlight=False)
    print_summary(console, result, NETCDF)
    best = result["best"]
    k_hat = "no k-hat" if best["k_hat"] is None else f"k-hat {best['k_hat']:.2f}"
    console.print(
        f"log Z {best['log_z']:.4f} ± {best['log_z_std_error']:.4f} nats · ELBO {best['elbo']:.4f} · "
        f"ESS {best['ess_fraction']:.1%} · {k_hat} · {best['name']}",
        highlight=False,
    )
    if result["trusted"]:
        console.print(escape(result["verdict"]), soft_wrap=True, highlight=False)
    console.print(f"{result['seconds']:.1f} s")
    console.print(f"draws: {run.folder / NETCDF}", soft_wrap=True)
    console.print(f"report: {report}", soft_wrap=True)
