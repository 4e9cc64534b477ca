"""One model in two processes that divide its batches, beside one process with the same batches: what the sums cost.

`pushforward train --distributed` on this machine, gloo over the loopback; every process computes in one thread, the
lone one too. Runs take turns; their rates are those of the loop, without compilation. What is summed is read off the
compiled step of a process with two devices.
"""

import json
import os
import re
import socket
import statistics
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import tyro

from common import Row, report, worker

DIM, ROWS, LENGTH = 64, 100_000, 5
ONE_CORE = {"JAX_NUM_CPU_DEVICES": "1", "NPROC": "1", "OPENBLAS_NUM_THREADS": "1"}


def collectives() -> tuple[int, int, int]:
    """Trained numbers of the model, and arrays that a step sums over devices: by each layer, and outside of them."""
    import jax
    import jax.numpy as jnp

    from pushforward import flows
    from pushforward.objectives import ForwardKL
    from pushforward.training import adam, ensemble
    from pushforward.training.members import Devices
    from pushforward.training.state import Problem, split_model

    models = ensemble(lambda key: flows.maf(key, DIM, LENGTH), jax.random.key(0), 1)
    parameters, fixed, static = split_model(models)
    sharing = Devices.of(1, 2)
    problem = Problem(static, ForwardKL(jnp.zeros((1024, DIM)), 256), adam(1e-3, 100), None)
    keys = jax.device_put(jax.random.split(jax.random.key(0), 1), sharing.split)
    state = sharing.divided(partial(problem.start, validated=False), parameters, fixed, keys)
    run = sharing.compile(Problem.advance, problem, split=2, scalars=2)
    text = run.function.lower(run.arrays, state, keys, 0, 1).compile().as_text()
    sums = re.findall(r"= (\(.*?\)|\S+) all-reduce\(", text)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(parameters))
    arrays = [shapes.count("[") for shapes in sums]
    in_loop = sum(count for count, shapes in zip(arrays, sums) if f"f32[{DIM},{DIM}]" in shapes)
    return numbers, in_loop, sum(arrays) - in_loop


def rate(folder: Path, batch: int, steps: int, processes: int) -> float:
    """Steps a second."""
    out = folder / f"run-{processes}-{batch}"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["train", str(folder / "rows.npy"), "--flow", "maf", "--base", "normal", "--length", str(LENGTH)]
    words += ["--steps", str(steps), "--validate-every", str(steps), "--batch-size", str(batch), "--out", str(out)]
    started = []
    for index in range(processes):
        own = ["--distributed", "--coordinator", f"127.0.0.1:{port}", "--processes", str(processes)]
        own += ["--process", str(index)]
        command = [sys.executable, "-m", "pushforward.cli", *words, "--force", *(own if processes > 1 else [])]
        started.append(
            subprocess.Popen(
                command,
                env=os.environ | ONE_CORE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
    for process in started:
        if process.wait():
            raise RuntimeError(f"a process of {processes} failed")
    found: float = json.loads((out / "result.json").read_text())["steps_per_second"]
    return found


def main(batches: tuple[int, ...] = (1024, 4096, 16_384), rounds: int = 2, seconds: float = 15.0) -> None:
    """Measure one process and two.

    Args:
        batches: rows a step, of all processes together.
        rounds: runs of each.
        seconds: that the loop of a run takes, roughly.
    """
    with worker(devices=2) as call:
        numbers, in_loop, outside = call(collectives)
    rates: dict[tuple[int, int], list[float]] = {(batch, count): [] for batch in batches for count in (1, 2)}
    with TemporaryDirectory() as name:
        folder, rng = Path(name), np.random.default_rng(0)
        rows = rng.normal(size=(ROWS, DIM)) @ rng.normal(size=(DIM, DIM))
        np.save(folder / "rows.npy", rows.astype(np.float32))
        for round_number in range(rounds):
            for batch, count in rates:
                before = rates[batch, 1]
                steps = max(20, round(seconds * (before[0] if before else 40_000 / batch)))
                rates[batch, count].append(rate(folder, batch, steps, count))
                print(
                    f"round {round_number}: batch {batch}, {count}: {rates[batch, count][-1]:.2f} steps/s", flush=True
                )
    table: list[Row] = []
    for batch in batches:
        one, two = (1e3 / statistics.median(rates[batch, count]) for count in (1, 2))
        table.append(
            {
                "batch": batch,
                "ms a step, one process": one,
                "two processes": two,
                "two are faster by": one / two,
                "ms of the sums": two - one / 2,
            }
        )
    report("processes", NAME, table, [], notes(numbers, in_loop, outside))


NAME = f"One model in two processes: MAF, D = {DIM}, K = {LENGTH}, one thread each, gloo over the loopback"


def notes(numbers: int, in_loop: int, outside: int) -> str:
    return (
        f"The gradients are {numbers:,} numbers, {4 * numbers / 1e6:.3g} MB: {in_loop} arrays for each of the {LENGTH} "
        f"layers and {outside} more, which gloo sums one after another. 'Of the sums' is what two processes take "
        "beyond half of the time of one."
    )


if __name__ == "__main__":
    tyro.cli(main)
