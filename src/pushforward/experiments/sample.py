"""Samples of a fitted flow, as a file."""

from pathlib import Path

import equinox as eqx
import jax
import numpy as np

from pushforward.errors import UserError
from pushforward.experiments.runs import Run

BATCH = 65_536


def write_samples(run: Run, n: int, out: Path | None, seed: int) -> Path:
    """Draw `n` samples of the best restart of `run`, 65,536 at a time, and write them with their log-densities.

    A `.npz` file holds `samples`, `(n, D)`, and `log_prob`, `(n,)`, in nats; a `.csv` file a column each, under a line
    of names.

    Returns:
        The file.

    Raises:
        UserError: `n` is less than 1, the file's name ends in neither, or the run is not finished.
    """
    path = run.folder / "samples.npz" if out is None else out
    if n < 1:
        raise UserError(f"-n must be 1 or more, got {n}")
    if path.suffix not in (".npz", ".csv"):
        raise UserError(f"--out must end in .npz or .csv, got {path}")
    draw = eqx.filter_jit(lambda flow, key: flow.sample_and_log_prob(key, (BATCH,)))
    keys = jax.random.split(jax.random.key(seed), -(-n // BATCH))
    batches = [jax.device_get(draw(run.flow, key)) for key in keys]
    samples, log_prob = (np.concatenate(parts)[:n] for parts in zip(*batches))
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        np.savez(path, samples=samples, log_prob=log_prob)
    else:
        names = [*(f"z{index + 1}" for index in range(samples.shape[1])), "log_prob"]
        table = np.column_stack([samples, log_prob])
        np.savetxt(path, table, fmt="%.9g", delimiter=",", header=",".join(names), comments="")
    return path
