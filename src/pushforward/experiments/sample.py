"""Samples of a fitted flow, as a file."""

import csv
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import jax
import numpy as np

from pushforward.errors import UserError
from pushforward.experiments.runs import Run, Sampler

BATCH_NUMBERS = 2**17

Batches = Iterator[dict[str, np.ndarray]]


def write_samples(run: Run, n: int, out: Path | None, seed: int, sampler: Sampler | None = None) -> Path:
    """Draw `n` samples of a trained model, a batch at a time, and write them as they come.

    A `.npz` file holds `samples`, `(n, *event shape)`, and what a sample comes with: `log_prob`, `(n,)`, of a flow, in
    nats, `latents`, `(n, latents)`, of a deep latent Gaussian model, or the `context` of a conditional density. A
    `.csv` file has a column for each number, under a line of names: those of the table, where there was one. Memory
    does not grow with `n`.

    Args:
        run: the finished run.
        n: how many.
        out: the file; `RUN/samples.npz` unless given.
        seed: of the draws.
        sampler: of the run; its own unless given.

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
    sampler = sampler or run.sampler
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    write = _write_npz if path.suffix == ".npz" else _write_csv
    write(partial, n, sampler, batches(sampler, n, seed))
    partial.replace(path)
    return path


def batches(sampler: Sampler, n: int, seed: int) -> Batches:
    """`n` samples with what they come with, in batches of some 131,072 numbers."""
    size = max(1, BATCH_NUMBERS // int(np.prod(sampler.shape)))
    key = jax.random.key(seed)
    for index, start in enumerate(range(0, n, size)):
        drawn = jax.device_get(sampler.draw(jax.random.fold_in(key, index), start, size))
        yield {name: array[: n - start] for name, array in zip(sampler.arrays, drawn)}


def _write_npz(path: Path, n: int, sampler: Sampler, parts: Batches) -> None:
    with ExitStack() as stack:
        files = {name: stack.enter_context(tempfile.TemporaryFile()) for name in sampler.arrays}
        shapes: dict[str, tuple[int, ...]] = {}
        for part in parts:
            for name, array in part.items():
                shapes[name] = array.shape[1:]
                files[name].write(np.ascontiguousarray(array, np.float32).tobytes())
        archive = stack.enter_context(zipfile.ZipFile(path, "w"))
        for name, content in files.items():
            content.seek(0)
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                _write_header(file, (n, *shapes[name]))
                shutil.copyfileobj(content, file)


def _write_header(file: Any, shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(np.dtype(np.float32)), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def _write_csv(path: Path, _: int, sampler: Sampler, parts: Batches) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        for index, part in enumerate(parts):
            flat = {name: array.reshape(len(array), -1) for name, array in part.items()}
            names = [name for array in flat for name in _names(array, sampler.arrays[array], flat[array].shape[1])]
            if index == 0:
                writer.writerow(names)
            columns = np.concatenate(list(flat.values()), axis=1).T
            writer.writerows(zip(*(_cells(sampler, name, column) for name, column in zip(names, columns))))


def _names(array: str, given: tuple[str, ...], width: int) -> tuple[str, ...]:
    if given:
        return given
    if array == "samples":
        return tuple(f"z{index + 1}" for index in range(width))
    return (array,) if width == 1 else tuple(f"{array}{index + 1}" for index in range(width))


def _cells(sampler: Sampler, name: str, values: np.ndarray) -> list[str]:
    words = sampler.categories.get(name)
    return [words[int(value)] if words else f"{value:.9g}" for value in values]
