"""`pushforward density`."""

import sys
from pathlib import Path
from typing import Literal

import tyro


def density(
    run: tyro.conf.Positional[Path],
    points: tyro.conf.Positional[Path],
    given: tuple[str, ...] = (),
    out: Path | None = None,
    delimiter: str | None = None,
    header: Literal["auto", "yes", "no"] = "auto",
    decimal_comma: bool = False,
) -> None:
    """Evaluate the log-density of a fitted flow, in nats, at points of your own.

    Args:
        run: folder of the run.
        points: a table, .csv, .tsv (.gz too), .npy, .npz or .parquet, with the columns of the run.
        given: of a conditional density: COLUMN=VALUE for each context, unless the table has columns of them.
        out: a file that ends in .csv or .npz; in the folder of the run unless given.
        delimiter: of a text file, as for `train`.
        header: of a text file, as for `train`.
        decimal_comma: of a text file, as for `train`.
    """
    import numpy as np

    from pushforward.data.tables import TextFormat
    from pushforward.experiments.density import write_densities
    from pushforward.experiments.runs import open_run

    found = write_densities(open_run(run), points, given, out, TextFormat(delimiter, header, decimal_comma))
    for warning in found.warnings:
        print(f"pushforward: warning: {warning}", file=sys.stderr)
    finite = found.log_prob[np.isfinite(found.log_prob)]
    lost = len(found.log_prob) - len(finite)
    if len(finite):
        print(f"mean log-density of {len(finite):,} points: {finite.mean():.4f} nats")
    if lost:
        print(f"the flow has no density at {lost:,} of {len(found.log_prob):,} points")
    print(found.path)
