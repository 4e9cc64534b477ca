"""What the command line prints of a flow trained on data, and of data before a flow is trained on them."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pushforward import data
from pushforward.data.streams import looked_at, stays_on_disk
from pushforward.data.tables import read_table
from pushforward.errors import UserError
from pushforward.experiments.terminal import finite, measured, print_end
from pushforward.experiments.train.config import CheckConfig
from pushforward.experiments.train.run import TrainRun


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
    console.print(measured(result, measures))
    console.print(f"best step {result['best_step']:,} of {result['steps']:,}")
    print_end(console, "validation log-likelihood", sorted(finite(result["restarts"]), reverse=True), result, report)


def print_check(config: CheckConfig) -> bool:
    """What `train` would make of a file, column by column, and its doubts; whether it would train."""
    console = Console()
    try:
        options = config.table_options()
        dataset = data.load(str(config.file), options=options) if stays_on_disk(config.file, options) else None
        content = read_table(config.file, options.text, options.words) if dataset is None else looked_at(dataset)
    except UserError as error:
        console.print(f"[red]refused:[/] {escape(str(error))}")
        return False
    rows = f"{len(content.values):,} rows{'' if dataset is None else ' looked at'}"
    table = Table(title=f"{config.file.name}: {rows}", title_justify="left")
    for name in ("column", "lowest", "median", "highest", "standard deviation", "distinct"):
        table.add_column(name, justify="left" if name == "column" else "right")
    for column, x in zip(content.columns, content.values.T):
        if options.words.ignores(column):
            continue
        if column in content.categories:
            words = content.categories[column]
            table.add_row(escape(column), escape(words[0]), "", escape(words[-1]), "", f"{len(words):,}")
            continue
        numbers = x.min(), np.median(x), x.max(), x.std()
        table.add_row(escape(column), *(f"{value:.6g}" for value in numbers), f"{len(np.unique(x)):,}")
    console.print(table)
    try:
        dataset = dataset or data.load(str(config.file), options=options)
    except UserError as error:
        for warning in content.warnings:
            console.print(f"[yellow]warning:[/] {escape(warning)}")
        console.print(f"[red]refused:[/] {escape(str(error))}")
        return False
    for warning in dataset.warnings:
        console.print(f"[yellow]warning:[/] {escape(warning)}")
    parts = " / ".join(f"{count:,}" for count in dataset.rows)
    given = "" if dataset.given is None else f" given {len(dataset.given.columns):,}"
    rows = f"{parts} rows to train, validate and test"
    console.print(f"pushforward train takes it: {rows}, {dataset.shape[0]:,} columns{given}")
    if dataset.windows is not None:
        console.print("The rows stay on disk, and are read while the flow is trained.")
    return True
