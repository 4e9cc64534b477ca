"""Samples of a fitted flow, as a file."""

import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Float

from pushforward.distributions import Distribution
from pushforward.errors import UserError
from pushforward.experiments.runs import Run

BATCH_NUMBERS = 2**17


def write_samples(run: Run, n: int, out: Path | None, seed: int) -> Path:
    """Draw `n` samples of a trained flow, a batch at a time, and write them with their log-densities as they come.

    A `.npz` file holds `samples`, `(n, *event shape)`, and `log_prob`, `(n,)`, in nats; a `.csv` file, of vectors, a
    column each, under a line of names. Memory does not grow with `n`.

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
    flow = run.flow
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    write = _write_npz if path.suffix == ".npz" else _write_csv
    write(partial, flow.shape, n, batches(flow, n, seed))
    partial.replace(path)
    return path


def batches(flow: Distribution, n: int, seed: int) -> Iterator[tuple[np.ndarray, Float[np.ndarray, " m"]]]:
    """`n` samples with their log-densities, in batches of some 131,072 numbers."""
    size = max(1, BATCH_NUMBERS // int(np.prod(flow.shape)))
    draw = eqx.filter_jit(lambda flow, key: flow.sample_and_log_prob(key, (size,)))
    key = jax.random.key(seed)
    for index, start in enumerate(range(0, n, size)):
        samples, log_prob = jax.device_get(draw(flow, jax.random.fold_in(key, index)))
        yield samples[: n - start], log_prob[: n - start]


def _write_npz(path: Path, shape: tuple[int, ...], n: int, parts: Iterator[tuple[np.ndarray, np.ndarray]]) -> None:
    with tempfile.TemporaryFile() as log_probs, zipfile.ZipFile(path, "w") as archive:
        with archive.open("samples.npy", "w", force_zip64=True) as file:
            _write_header(file, (n, *shape))
            for samples, log_prob in parts:
                file.write(np.ascontiguousarray(samples, np.float32).tobytes())
                log_probs.write(np.ascontiguousarray(log_prob, np.float32).tobytes())
        log_probs.seek(0)
        with archive.open("log_prob.npy", "w", force_zip64=True) as file:
            _write_header(file, (n,))
            shutil.copyfileobj(log_probs, file)


def _write_header(file: Any, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _write_csv(path: Path, shape: tuple[int, ...], n: int, parts: Iterator[tuple[np.ndarray, np.ndarray]]) -> None:
    with path.open("w") as file:
        names = [*(f"z{index + 1}" for index in range(int(np.prod(shape)))), "log_prob"]
        file.write(",".join(names) + "\n")
        for samples, log_prob in parts:
            np.savetxt(file, np.column_stack([samples.reshape(len(samples), -1), log_prob]), fmt="%.9g", delimiter=",")
