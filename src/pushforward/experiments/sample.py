"""Samples of a fitted flow, as a file."""

import csv
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pushforward.errors import UserError
from pushforward.experiments.runs import Run, Sampler

BATCH_NUMBERS = 2**17

Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def write_samples(run: Run, n: int, out: Path | None, seed: int) -> Path:
    """Draw `n` samples of a trained model, a batch at a time, and write them as they come.

    A `.npz` file holds `samples`, `(n, *event shape)`, and what a sample comes with: `log_prob`, `(n,)`, of a flow, in
    nats, or `latents`, `(n, latents)`, of a deep latent Gaussian model. A `.csv` file has a column for each number,
    under a line of names: those of the table, where there was one. Memory does not grow with `n`.

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
    sampler = run.sampler
    parts = batches(sampler, n, seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    if path.suffix == ".npz":
        _write_npz(partial, n, sampler.beside, parts)
    else:
        _write_csv(partial, sampler.beside, parts, sampler.columns)
    partial.replace(path)
    return path


def batches(sampler: Sampler, n: int, seed: int) -> Batches:
    """`n` samples with what they come with, in batches of some 131,072 numbers."""
    size = max(1, BATCH_NUMBERS // int(np.prod(sampler.shape)))
    key = jax.random.key(seed)
    for index, start in enumerate(range(0, n, size)):
        samples, beside = jax.device_get(sampler.draw(jax.random.fold_in(key, index), size))
        yield samples[: n - start], beside[: n - start]


def _write_npz(path: Path, n: int, second: str, parts: Batches) -> None:
    with tempfile.TemporaryFile() as others, zipfile.ZipFile(path, "w") as archive:
        shape: tuple[int, ...] = ()
        with archive.open("samples.npy", "w", force_zip64=True) as file:
            for index, (samples, values) in enumerate(parts):
                if index == 0:
                    _write_header(file, (n, *samples.shape[1:]))
                    shape = values.shape[1:]
                file.write(np.ascontiguousarray(samples, np.float32).tobytes())
                others.write(np.ascontiguousarray(values, np.float32).tobytes())
        others.seek(0)
        with archive.open(f"{second}.npy", "w", force_zip64=True) as file:
            _write_header(file, (n, *shape))
            shutil.copyfileobj(others, file)


def _write_header(file: Any, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _write_csv(path: Path, second: str, parts: Batches, columns: tuple[str, ...]) -> None:
    with path.open("w", newline="") as file:
        for index, (samples, values) in enumerate(parts):
            samples, values = samples.reshape(len(samples), -1), values.reshape(len(values), -1)
            if index == 0:
                others = [second] if values.shape[1] == 1 else [f"{second}{i + 1}" for i in range(values.shape[1])]
                names = columns or tuple(f"z{i + 1}" for i in range(samples.shape[1]))
                csv.writer(file, lineterminator="\n").writerow([*names, *others])
            np.savetxt(file, np.column_stack([samples, values]), fmt="%.9g", delimiter=",")
