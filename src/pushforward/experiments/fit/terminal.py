"""What the command line prints of a fit."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pushforward.experiments.fit.run import FitRun
from pushforward.experiments.fit.words import MEASURES
from pushforward.experiments.terminal import finite, print_end


def print_fit(run: FitRun, report: Path) -> None:
    """The numbers of a fit, what is wrong with them, and where the report is."""
    console, result = Console(), run.result
    table = Table(title=escape(result["command"]), title_justify="left")
    table.add_column("")
    table.add_column("nats", justify="right")
    table.add_column("± s.e.", justify="right")
    known = result["log_z"] is not None
    for label, name, error in (
        ("KL(q ‖ p)", "kl", "kl_std_error"),
        ("free energy" if known else "free energy, KL(q ‖ p) less log Z", "free_energy", "kl_std_error"),
        ("ELBO, its negative", None if known else "elbo", "kl_std_error"),
        ("KL(q ‖ p), at least", None if known else "kl_estimate", "kl_std_error"),
        ("KL(q ‖ p), quadrature", "reverse_kl_grid", None),
        ("KL(p ‖ q), quadrature", "forward_kl_grid", None),
        ("KL(p ‖ q), exact draws", "forward_kl", "forward_kl_std_error"),
        ("E_p[log q], exact draws", "exact_log_prob", "forward_kl_std_error"),
        ("log Z", "log_z", None),
        ("log Z, importance sampling", "log_z_estimate", "log_z_std_error"),
    ):
        if name is not None and result.get(name) is not None:
            table.add_row(
                escape(label), f"{result[name]:.4f}", f"{result[error]:.4f}" if error and result[error] else ""
            )
    console.print(table)
    if result["ess_fraction"] is not None:
        forward = "" if result.get("forward_ess") is None else f" · forward ESS {result['forward_ess']:.1%}"
        console.print(f"ESS {result['ess_fraction']:.1%} of {result['samples']:,} draws{forward} · {_k_hat(result)}")
    measure = MEASURES[result.get("restarts_measure", "kl")]
    print_end(console, measure, sorted(finite(result["restarts"])), result, report)


def _k_hat(result: dict[str, Any]) -> str:
    value = "" if result["k_hat"] is None else f" {result['k_hat']:.2f}"
    return f"k-hat{value}, {result['k_hat_verdict']}"
