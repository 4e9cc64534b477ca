"""What the command line prints."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pushforward import data, flows, targets
from pushforward.data.tables import read_table
from pushforward.errors import UserError
from pushforward.experiments.config import CheckConfig
from pushforward.experiments.presets import SUMMARIES
from pushforward.experiments.runs import DlgmRun, FitRun, TrainRun
from pushforward.experiments.studies import STUDIES


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
        ("log Z", "log_z", None),
        ("log Z, importance sampling", "log_z_estimate", "log_z_std_error"),
    ):
        if name is not None and result.get(name) is not None:
            table.add_row(label, f"{result[name]:.4f}", f"{result[error]:.4f}" if error and result[error] else "")
    console.print(table)
    if result["ess_fraction"] is not None:
        console.print(f"ESS {result['ess_fraction']:.1%} of {result['samples']:,} draws · {_k_hat(result)}")
    measure = "free energy" if result.get("restarts_measure") == "free_energy" else "KL"
    _print_end(console, measure, sorted(_finite(result["restarts"])), result, report)


def _k_hat(result: dict[str, Any]) -> str:
    value = "" if result["k_hat"] is None else f" {result['k_hat']:.2f}"
    return f"k-hat{value}, {result['k_hat_verdict']}"


def print_train(run: TrainRun, report: Path) -> None:
    """The numbers of a flow trained on data, what is wrong with them, and where the report is."""
    console, result = Console(), run.result
    measures = (
        ("test log-likelihood", "test_log_likelihood", "nats"),
        ("test, per dimension", "test_bits_per_dimension", "bits"),
        ("Gaussian of the same rows", "gaussian_log_likelihood", "nats"),
        ("gain over the Gaussian", "gain_over_gaussian", "nats"),
        ("true log-likelihood", "true_log_likelihood", "nats"),
        ("KL(p ‖ q)", "kl_to_truth", "nats"),
        ("validation log-likelihood", "validation_log_likelihood", "nats"),
        ("training log-likelihood", "train_log_likelihood", "nats"),
    )
    console.print(_measures(result, measures))
    console.print(f"best step {result['best_step']:,} of {result['steps']:,}")
    _print_end(console, "validation log-likelihood", sorted(_finite(result["restarts"]), reverse=True), result, report)


def print_dlgm(run: DlgmRun, report: Path) -> None:
    """The numbers of a deep latent Gaussian model, what is wrong with them, and where the report is."""
    console, result = Console(), run.result
    measures = (
        ("free energy", "free_energy", "nats"),
        ("reconstruction", "reconstruction", "nats"),
        ("KL(q(z|x) ‖ p(z))", "divergence_from_prior", "nats"),
        ("-log p(x), importance sampling, at most", "nll_iwae", "nats"),
        ("-log p(x), AIS, at most", "nll_ais", "nats"),
        ("gap of BDMC", "bdmc_gap", "nats"),
        ("KL(q(z|x) ‖ p(z|x)), at least", "kl_posterior", "nats"),
        ("validation free energy", "validation_free_energy", "nats"),
    )
    console.print(_measures(result, measures))
    for name, details in result.get("evaluations", {}).items():
        of_test = "simulated" if name == "bdmc" else f"of {result['test_images']:,} in the test set"
        console.print(f"{name}: {details['points']:,} {of_test}, {details['seconds']:.1f} s")
    active = f"{result['active_units']:,} of {result['latents']:,} latents active"
    console.print(f"{active} · best step {result['best_step']:,} of {result['steps']:,}")
    _print_end(console, "validation free energy", [], result, report)


def print_check(config: CheckConfig) -> bool:
    """What `train` would make of a file, column by column, and its doubts; whether it would train."""
    console = Console()
    try:
        content = read_table(config.file, config.table_options().text)
    except UserError as error:
        console.print(f"[red]refused:[/] {escape(str(error))}")
        return False
    table = Table(title=f"{config.file.name}: {len(content.values):,} rows", title_justify="left")
    for name in ("column", "lowest", "median", "highest", "standard deviation", "distinct"):
        table.add_column(name, justify="left" if name == "column" else "right")
    for column, x in zip(content.columns, content.values.T):
        numbers = x.min(), np.median(x), x.max(), x.std()
        table.add_row(escape(column), *(f"{value:.6g}" for value in numbers), f"{len(np.unique(x)):,}")
    console.print(table)
    try:
        dataset = data.load(str(config.file), options=config.table_options())
    except UserError as error:
        for warning in content.warnings:
            console.print(f"[yellow]warning:[/] {escape(warning)}")
        console.print(f"[red]refused:[/] {escape(str(error))}")
        return False
    for warning in dataset.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    parts = " / ".join(f"{len(part):,}" for part in (dataset.train, dataset.validation, dataset.test))
    console.print(f"pushforward train takes it: {parts} rows to train, validate and test, {dataset.shape[0]:,} columns")
    return True


def _measures(result: dict[str, Any], measures: Sequence[tuple[str, str, str]]) -> Table:
    """Those of the measures that the result has: what each is called, its name in the result, and its unit."""
    table = Table(title=escape(result["command"]), title_justify="left")
    table.add_column("")
    table.add_column("", justify="right")
    table.add_column("± s.e.", justify="right")
    table.add_column("")
    for label, name, unit in measures:
        if name in result:
            value, error = result[name], result.get(f"{name}_std_error")
            text = "not finite" if value is None else f"{value:.4f}"
            table.add_row(label, text, "" if error is None else f"{error:.4f}", unit)
    return table


def _finite(values: list[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _print_end(console: Console, name: str, restarts: list[float], result: dict[str, Any], report: Path) -> None:
    """The restarts from the best to the worst, where others diverged, time, warnings, and the report."""
    if len(restarts) > 1:
        best, median, worst = restarts[0], np.median(restarts), restarts[-1]
        spread = f"best {best:.4f}, median {median:.4f}, worst {worst:.4f}"
        console.print(f"{name} of {len(restarts)} restarts: {spread}")
    lost = [
        f"{index} at step {d['step']} ({d.get('point') or d['leaf']})"
        for index, d in enumerate(result["divergences"])
        if d
    ]
    if lost:
        console.print(f"diverged: {escape(', '.join(lost))}")
    rate = result["steps_per_second"]
    speed = f" · {rate:,.{0 if rate >= 10 else 1}f} steps/s of all restarts together" if rate else ""
    console.print(f"{result['seconds']:.1f} s{speed}")
    for warning in result["warnings"]:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    console.print(f"report: {report}", soft_wrap=True)


def print_catalogue() -> None:
    """Every flow, target, data set, preset and study, a line each."""
    console = Console()
    groups = {
        "flows": {name: _summary(recipe) for name, recipe in flows.RECIPES.items()},
        "targets": {name: _summary(target) for name, target in targets.TARGETS.items()}
        | {"module:function": "An unnormalised log density of your own, written with jax.numpy; give --dim."},
        "data": {name: _summary(dataset) for name, dataset in data.DATASETS.items()}
        | {"FILE": "A table of yours: .csv, .tsv, .npy, .npz or .parquet."},
        "presets": SUMMARIES,
        "studies": {name: _summary(study) for name, study in STUDIES.items()},
    }
    for title, entries in groups.items():
        console.print(f"[bold]{title}[/]")
        for name, summary in entries.items():
            console.print(f"  {name:<29}{summary}", soft_wrap=True, highlight=False, markup=False)


def _summary(documented: object) -> str:
    return (documented.__doc__ or "").strip().splitlines()[0]
