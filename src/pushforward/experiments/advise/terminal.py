"""Densities of states and advice in the terminal; the pictures go to a file."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pushforward import states
from pushforward.drawing.states import curves
from pushforward.drawing.style import LIGHT, Drawing
from pushforward.experiments.advise import words
from pushforward.experiments.advise.advice import Advice
from pushforward.experiments.advise.named import Named
from pushforward.experiments.advise.page import write_page
from pushforward.states import Comparison


def print_states(named: Named, out: Path) -> None:
    """The moments, quantiles and atoms of a density of states; its picture goes to `out`."""
    law = named.states
    table = _table(f"density of states of {named.label}", "log p(x) / nats")
    table.add_row("mean", f"{law.mean:.4f}")
    table.add_row("standard deviation", f"{np.sqrt(law.variance):.4f}")
    for share in (0.05, 0.5, 0.95):
        table.add_row(f"quantile {share:g}", f"{float(law.quantile(share)):.4f}")
    for position, mass in zip(law.positions, law.masses):
        table.add_row(f"atom of mass {mass:.4g}", f"{position:.4f}")
    if named.dim is not None and not law.zero_mass:
        table.add_row(
            "volume-preserving bound / nats", escape(words.interval(states.volume_preserving_bound(law, named.dim)))
        )
    console = Console()
    console.print(table)
    if law.sample_size is not None:
        console.print(f"{law.sample_size:,} samples")
    if named.dim is None:
        console.print("give --dim for the volume-preserving bound")
    if law.zero_mass:
        console.print(f"{law.zero_mass:.3%} of the log-densities are -inf: an atom at zero density")
    _write(curves([(named.label, law)]), out, console)


def print_comparison(a: Named, b: Named, dim: int, seed: int, out: Path) -> None:
    """Every distance between two densities of states with its interval; their picture goes to `out`."""
    compared: Comparison = states.compare(a.states, b.states, dim, seed=seed)
    table = _table(f"{a.label} against {b.label}", "nats [95% interval]")
    for label, estimate in (
        ("W1", compared.wasserstein),
        ("W1 / D", compared.wasserstein_per_dim),
        ("W1, both centred", compared.centred_wasserstein),
        ("mean of the first less that of the second", compared.mean_gap),
        ("KL of the first from the second", compared.kl),
    ):
        table.add_row(label, escape(words.estimate(estimate)))
    console = Console()
    console.print(table)
    _write(curves([(a.label, a.states), (b.label, b.states)]), out, console)


def print_advice(advice: Advice, out: Path) -> None:
    """The verdict, why, and the numbers behind it; the densities of states go to `out`, all of it to a page."""
    console = Console()
    console.print(f"[bold]{escape(advice.verdict)}[/bold]: {escape(' '.join(advice.reasons))}")
    table = _table(f"{advice.run.dataset.name}: {advice.rows:,} rows, D = {advice.dim}", "nats [95% interval]")
    for name, shown in words.numbers(advice):
        table.add_row(name, escape(shown))
    console.print(table)
    console.print(words.saving(advice))
    _write(words.picture(advice), out, console)
    console.print(f"the fitted flow: {advice.run.folder}", soft_wrap=True, markup=False)
    console.print(f"report: {write_page(advice)}", soft_wrap=True, markup=False)


def _table(title: str, unit: str) -> Table:
    table = Table(title=escape(title), title_justify="left")
    table.add_column("")
    table.add_column(escape(unit), justify="right")
    return table


def _write(drawing: Drawing, out: Path, console: Console) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(drawing.png(LIGHT))
    console.print(f"picture: {out}", soft_wrap=True, markup=False)
