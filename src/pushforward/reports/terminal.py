"""What the command line prints."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from pushforward import flows, targets
from pushforward.experiments.presets import SUMMARIES
from pushforward.experiments.runs import Run
from pushforward.experiments.studies import STUDIES


def print_result(run: Run, report: Path) -> None:
    """The numbers of a fit, what is wrong with them, and where the report is."""
    console, result = Console(), run.result
    table = Table(title=result["command"], title_justify="left")
    table.add_column("")
    table.add_column("nats", justify="right")
    table.add_column("± s.e.", justify="right")
    for label, name, error in (
        ("KL(q ‖ p)", "kl", "kl_std_error"),
        ("KL(q ‖ p), log Z estimated", "kl_estimate", "kl_std_error"),
        ("KL(q ‖ p), quadrature", "reverse_kl_grid", None),
        ("KL(p ‖ q), quadrature", "forward_kl_grid", None),
        ("log Z", "log_z", None),
        ("log Z, importance sampling", "log_z_estimate", "log_z_std_error"),
    ):
        if result[name] is not None:
            table.add_row(label, f"{result[name]:.4f}", f"{result[error]:.4f}" if error and result[error] else "")
    console.print(table)
    if result["ess_fraction"] is not None:
        console.print(f"ESS {result['ess_fraction']:.1%} of {result['samples']:,} draws · {_k_hat(result)}")
    console.print(_restarts(result))
    rate = result["steps_per_second"]
    console.print(f"{result['seconds']:.1f} s" + (f" · {rate:,.0f} steps/s of all restarts" if rate else ""))
    for warning in result["warnings"]:
        console.print(f"[yellow]warning:[/] {warning}")
    console.print(f"report: {report}", soft_wrap=True)


def _k_hat(result: dict[str, Any]) -> str:
    value = "" if result["k_hat"] is None else f" {result['k_hat']:.2f}"
    return f"k-hat{value}, {result['k_hat_verdict']}"


def _restarts(result: dict[str, Any]) -> str:
    kls = [kl for kl in result["restarts"] if kl is not None]
    lost = [f"{index} at step {d['step']} ({d['leaf']})" for index, d in enumerate(result["divergences"]) if d]
    spread = f"KL of {len(kls)} restarts: best {min(kls):.4f}, median {np.median(kls):.4f}, worst {max(kls):.4f}"
    return spread + (f"; diverged: {', '.join(lost)}" if lost else "")


def print_catalogue() -> None:
    """Every flow, target, preset and study, a line each."""
    console = Console()
    groups = {
        "flows": {name: _summary(recipe) for name, recipe in flows.RECIPES.items()},
        "targets": {name: _summary(target) for name, target in targets.TARGETS.items()}
        | {"module:function": "An unnormalised log density of your own, written with jax.numpy; give --dim."},
        "presets": SUMMARIES,
        "studies": {name: _summary(study) for name, study in STUDIES.items()},
    }
    for title, entries in groups.items():
        console.print(f"[bold]{title}[/]")
        for name, summary in entries.items():
            console.print(f"  {name:<26}{summary}", soft_wrap=True, highlight=False, markup=False)


def _summary(documented: object) -> str:
    return (documented.__doc__ or "").strip().splitlines()[0]
