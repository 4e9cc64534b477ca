"""What the command line prints of a posterior."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from pushforward.experiments.posterior.run import NETCDF, PosteriorRun
from pushforward.experiments.posterior.words import COLUMNS, cells
from pushforward.experiments.terminal import wide_console

MOST_ROWS = 40


def print_posterior(run: PosteriorRun, report: Path) -> None:
    """The numbers of a posterior, how far they can be trusted, and where the draws and the report are."""
    console, result = wide_console(), run.result
    if not result["trusted"]:
        console.print(f"[yellow]not to be trusted:[/] {escape(result['verdict'])}", soft_wrap=True, highlight=False)
    table = Table(title=escape(result["command"]), title_justify="left")
    for column in COLUMNS:
        table.add_column(column, justify="right" if column else "left")
    for row in result["summary"][:MOST_ROWS]:
        table.add_row(*map(escape, cells(row)))
    console.print(table)
    if len(result["summary"]) > MOST_ROWS:
        console.print(f"and {len(result['summary']) - MOST_ROWS} more in the report and in {NETCDF}")
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
