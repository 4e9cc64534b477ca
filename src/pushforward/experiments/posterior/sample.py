"""Draws of a posterior as a file, in the parameters of the model."""

import csv
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pushforward.errors import UserError, imported
from pushforward.experiments.posterior.run import PosteriorRun
from pushforward.inference.posterior import Resample
from pushforward.inference.summary import ARVIZ, columns


def write_draws(run: PosteriorRun, n: int, out: Path | None, seed: int, resample: Resample) -> Path:
    """Draw from a posterior, and write the parameters by name.

    A `.npz` file has an array `(n, *shape)` for each, a `.csv` file a column for each number, a `.nc` file what ArviZ
    reads, one chain.

    Args:
        run: the finished run.
        n: how many.
        out: the file; `RUN/draws-N.npz` unless given.
        seed: of the draws.
        resample: by the importance weights, or not.

    Returns:
        The file.

    Raises:
        UserError: `n` is less than 1, the file's name ends in none of these, or the run is not finished.
    """
    path = run.folder / f"draws-{n}.npz" if out is None else out
    if n < 1:
        raise UserError(f"-n must be 1 or more, got {n}")
    if path.suffix not in (".npz", ".csv", ".nc"):
        raise UserError(f"--out must end in .npz, .csv or .nc, got {path}")
    draws: dict[str, Any] = run.posterior().sample(jax.random.key(seed), n, resample=resample)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    if path.suffix == ".npz":
        np.savez(partial, **draws)
    elif path.suffix == ".csv":
        named = columns(draws)
        with partial.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerow(named)
            np.savetxt(file, np.column_stack(list(named.values())), fmt="%.12g", delimiter=",")
    else:
        whole = {name: values[None] for name, values in draws.items()}
        tree = imported("arviz_base", ARVIZ).from_dict({"posterior": whole}, name=Path(run.target.name).name)
        tree.to_netcdf(partial, engine="h5netcdf")
    partial.replace(path)
    return path
