"""Log-densities of a user's own points under a trained flow, as a file."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pushforward.contexts import Conditional
from pushforward.data.tables import TextFormat
from pushforward.data.text import brief
from pushforward.dequantize import Dequantized
from pushforward.errors import UserError
from pushforward.experiments.points import is_table, one_context, read_points
from pushforward.experiments.runs import Run

BATCH = 4096


@dataclass(frozen=True)
class Densities:
    """What was written.

    Attributes:
        path: of the file.
        log_prob: of each point, in nats.
        warnings: of contexts outside of those trained on.
    """

    path: Path
    log_prob: Float[np.ndarray, " n"]
    warnings: Sequence[str] = ()


def write_densities(
    run: Run, points: Path, given: Sequence[str], out: Path | None, text: TextFormat | None = None
) -> Densities:
    """Evaluate the density of a trained flow at the points of a file, and write them with their log-densities.

    A `.npz` file holds `points`, `(n, D)`, and `log_prob`, `(n,)`, in nats; a `.csv` file has a column for each number,
    and `log_prob`. Of a conditional density the contexts are columns of the file, or one for all of the points.

    Args:
        run: the finished run.
        points: a table: one of the files that `train` reads.
        given: of a conditional density: `COLUMN=VALUE` for each context.
        out: the file; `RUN/densities.csv` unless given.
        text: how the table is written, where it is a text file.

    Raises:
        UserError: the run has no density of vectors, the points or contexts do not fit, or `out` ends in neither.
    """
    path = run.folder / "densities.csv" if out is None else out
    if path.suffix not in (".npz", ".csv"):
        raise UserError(f"--out must end in .npz or .csv, got {path}")
    model: Any = run.model
    warnings: list[str] = []
    columns = run.columns
    if isinstance(model, Dequantized) or (not isinstance(model, Conditional) and len(run.flow.shape) != 1):
        raise UserError(f"{run.folder} holds a density of images; `density` is for those of vectors")
    if isinstance(model, Conditional):
        encoder = model.encoder
        if is_table(given):
            raise UserError(f"--given takes COLUMN=VALUE for `density`; {points.name} may hold the contexts too")
        one = one_context(encoder, given) if given else None
        rows, contexts = read_points(points, columns, None if given else encoder, text)
        if one is not None:
            contexts = np.broadcast_to(one, (len(rows), len(encoder.columns)))
        warnings = encoder.outside(contexts)
    elif given:
        raise UserError(f"{run.folder} holds no conditional density: leave --given {brief(given[0])} out")
    else:
        columns = columns or tuple(f"z{index + 1}" for index in range(*run.flow.shape))
        model = run.flow
        rows, contexts = read_points(points, columns, None, text)
    log_prob = _log_prob(model, rows, contexts)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    if path.suffix == ".npz":
        with partial.open("wb") as file:
            np.savez(file, points=rows, log_prob=log_prob)
    else:
        with partial.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow([*columns, "log_prob"])
            np.savetxt(file, np.column_stack([rows, log_prob]), fmt="%.9g", delimiter=",")
    partial.replace(path)
    return Densities(path, log_prob, warnings)


def _log_prob(
    model: Any, rows: Float[np.ndarray, "n D"], contexts: Float[np.ndarray, "n context"]
) -> Float[np.ndarray, " n"]:
    """In batches of one size, the last filled up with its own first row."""

    @eqx.filter_jit
    def batch(model: Any, rows: jax.Array, contexts: jax.Array) -> jax.Array:
        return model.log_prob(contexts, rows) if isinstance(model, Conditional) else model.log_prob(rows)

    found = []
    for start in range(0, len(rows), BATCH):
        places = np.minimum(np.arange(start, start + min(BATCH, len(rows))), len(rows) - 1)
        chosen = (jnp.asarray(array[places], float) for array in (rows, contexts))
        found.append(np.asarray(batch(model, *chosen), np.float64))
    return np.concatenate(found)[: len(rows)]
