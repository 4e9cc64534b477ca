"""Density estimation: time of `log_prob`, of `sample` and of a training step, beside zuko and FlowJAX.

The same architecture in each library, and networks that start alike, off the identity. `log_prob` and `sample` are
compiled in pushforward and FlowJAX and run without gradients in zuko; a training step is one of forward KL and Adam: of
`training.fit` in pushforward, of the compiled step that `fit_to_data` uses in FlowJAX, of an eager loop in zuko. Each
library has a process of its own on the same cores. They prepare a cell at the same time, run it once to warm up, and
then take turns. Ratios are taken within a round; their median is reported.
"""

import math
import os
import queue
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any, Literal, get_args

import numpy as np
import tyro

from common import LEARNING_RATE, Requirement, Row, at_least, installed, report, worker
from density import (
    ARCHITECTURE,
    FAMILIES,
    LIBRARIES,
    Family,
    Library,
    flowjax_flow,
    flowjax_parts,
    pushforward_flow,
    spread_out,
    zuko_flow,
)

Operation = Literal["log_prob", "sample", "training step"]

OPERATIONS: tuple[Operation, ...] = get_args(Operation)
REQUIRED = {"zuko": 1.0, "flowjax": 1.0}
TWICE = 55 / 72  # of the cells, where zuko takes twice as long
NAMES = {"pushforward": "pushforward", "zuko": "zuko", "flowjax": "FlowJAX"}
BATCHES_OF_DATA = 4
LARGE = 2**17  # numbers in a batch
TRIAL = 0.05  # seconds for a number of threads
SLOW = 3.0  # seconds; what takes longer at its first call is not called again

Turn = Callable[[float], float]


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    family: Family
    dim: int
    batch: int
    operation: Operation

    def __str__(self) -> str:
        return f"{self.family}, D = {self.dim}, batch {self.batch}, {self.operation}"


def repeated(call: Callable[[], Any]) -> Turn:
    """Seconds a call: the mean over as many as fit into a turn, at least one."""

    def turn(seconds: float) -> float:
        start = time.perf_counter()
        count = 0
        while count == 0 or time.perf_counter() - start < seconds:
            call()
            count += 1
        return (time.perf_counter() - start) / count

    return turn


class Stopped(Exception):
    """The cell is done with."""


class TrainingLoop:
    """`training.fit`, which runs during a turn and waits between turns, so that it is compiled only once.

    A turn ends with the first chunk of steps that ends after its time; all that the loop does counts.
    """

    def __init__(self, fit: Callable[..., Any]) -> None:
        self.fit = fit
        self.turns: queue.Queue[float | None] = queue.Queue()
        self.results: queue.Queue[float | BaseException] = queue.Queue()
        self.first_step = 0
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        try:
            self._wait(0)
            self.fit(steps=10**9, on_progress=lambda step, _: self._progress(step))
        except Stopped:
            pass
        except BaseException as error:
            self.results.put(error)

    def _wait(self, step: int) -> None:
        seconds = self.turns.get()
        if seconds is None:
            raise Stopped
        self.first_step, self.seconds, self.start = step, seconds, time.perf_counter()

    def _progress(self, step: int) -> None:
        elapsed = time.perf_counter() - self.start
        if elapsed >= self.seconds:
            self.results.put(elapsed / (step - self.first_step))
            self._wait(step)

    def __call__(self, seconds: float) -> float:
        self.turns.put(seconds)
        result = self.results.get()
        if isinstance(result, BaseException):
            raise result
        return result

    def stop(self) -> None:
        self.turns.put(None)


def pushforward_turn(cell: Cell) -> Turn:
    import jax
    import optax

    from pushforward import objectives, training

    def make(key: Any) -> Any:
        key_flow, key_start = jax.random.split(key)
        return spread_out(pushforward_flow(cell.family, cell.dim, key_flow), key_start)

    if cell.operation != "training step":
        return compiled(make(jax.random.key(0)), cell)
    loop = TrainingLoop(
        lambda **arguments: training.fit(
            training.ensemble(make, jax.random.key(0), 1),
            objectives.ForwardKL(jax.numpy.asarray(data(cell)), cell.batch),
            key=jax.random.key(1),
            optimizer=optax.adam(LEARNING_RATE),
            # A loop starts with 16 steps at once, which takes long in large cells: a record ends them.
            record_every=1 if cell.dim * cell.batch > LARGE else None,
            **arguments,
        )
    )
    loop(0.0)  # compiles
    return loop


def flowjax_turn(cell: Cell) -> Turn:
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.train.losses import MaximumLikelihoodLoss
    from flowjax.train.train_utils import get_batches, step

    flow = flowjax_flow(cell.family, cell.dim, jax.random.key(0))
    if cell.operation != "training step":
        return compiled(flow, cell)
    params, static = flowjax_parts(flow)
    optimizer, loss_fn = optax.adam(LEARNING_RATE), MaximumLikelihoodLoss()
    opt_state, key = optimizer.init(params), jax.random.key(1)
    (batches,) = get_batches((jnp.asarray(data(cell)),), cell.batch)
    rest = cycle(batches)

    def one() -> None:
        nonlocal params, opt_state, key
        key, subkey = jax.random.split(key)
        params, opt_state, _ = step(
            params, static, next(rest), optimizer=optimizer, opt_state=opt_state, loss_fn=loss_fn, key=subkey
        )

    def turn(seconds: float) -> float:
        start = time.perf_counter()
        count = 0
        while count == 0 or time.perf_counter() - start < seconds:
            one()
            count += 1
            if count % BATCHES_OF_DATA == 0:  # an epoch ends, and `fit_to_data` looks at its losses
                jax.block_until_ready(params)
        jax.block_until_ready(params)
        return (time.perf_counter() - start) / count

    turn(0.0)  # compiles
    return turn


def compiled(flow: Any, cell: Cell) -> Turn:
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    arrays, static = eqx.partition(flow, eqx.is_array)
    if cell.operation == "log_prob":
        argument = jnp.asarray(data(cell)[: cell.batch])
        function = jax.jit(lambda arrays, x: eqx.combine(arrays, static).log_prob(x))
    else:
        argument = jax.random.key(1)
        function = jax.jit(lambda arrays, key: eqx.combine(arrays, static).sample(key, (cell.batch,)))
    program = function.lower(arrays, argument).compile()
    return repeated(lambda: jax.block_until_ready(program(arrays, argument)))


def zuko_turn(cell: Cell) -> Turn:
    """The first turn, when no other library is busy, finds out how many threads are faster."""
    import torch

    measured = zuko_calls(cell)
    cores = len(os.sched_getaffinity(0))
    chosen = False

    def turn(seconds: float) -> float:
        nonlocal chosen
        if chosen:
            return measured(seconds)
        chosen = True
        torch.set_num_threads(cores)
        first = measured(0.0)
        if first > SLOW:
            return first
        times: dict[int, float] = {}
        for threads in (1, cores, 1, cores):
            torch.set_num_threads(threads)
            times[threads] = min(measured(TRIAL), times.get(threads, first))
        torch.set_num_threads(min(times, key=lambda threads: times[threads]))
        return min(times.values())

    return turn


def zuko_calls(cell: Cell) -> Turn:
    import torch

    torch.manual_seed(0)
    flow = zuko_flow(cell.family, cell.dim)
    x = torch.from_numpy(data(cell))
    if cell.operation == "log_prob":
        rows = x[: cell.batch]
        return repeated(torch.no_grad()(lambda: flow().log_prob(rows)))
    if cell.operation == "sample":
        return repeated(torch.no_grad()(lambda: flow().sample((cell.batch,))))
    optimizer = torch.optim.Adam(flow.parameters(), LEARNING_RATE)

    def one() -> None:
        rows = x[torch.randint(len(x), (cell.batch,))]
        loss = -flow().log_prob(rows).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return repeated(one)


TURNS: dict[Library, Callable[[Cell], Turn]] = {
    "pushforward": pushforward_turn,
    "zuko": zuko_turn,
    "flowjax": flowjax_turn,
}


def data(cell: Cell) -> np.ndarray:
    """Correlated normal rows."""
    rng = np.random.default_rng(0)
    mixing = np.eye(cell.dim) + rng.normal(size=(cell.dim, cell.dim)) / cell.dim
    return (rng.normal(size=(BATCHES_OF_DATA * cell.batch, cell.dim)) @ mixing).astype(np.float32)


_turn: Turn | None = None


def prepare(library: Library, cell: Cell, cores: int) -> None:
    """Builds and compiles what the turns of a cell run, in the process of its library."""
    global _turn
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    if isinstance(_turn, TrainingLoop):
        _turn.stop()
    _turn = TURNS[library](cell)


def take_turn(seconds: float) -> float:
    """Seconds for each call or step."""
    assert _turn is not None
    return _turn(seconds)


def main(
    families: tuple[Family, ...] = FAMILIES,
    dims: tuple[int, ...] = (2, 10, 64),
    batches: tuple[int, ...] = (256, 4096),
    operations: tuple[Operation, ...] = OPERATIONS,
    libraries: tuple[Library, ...] = LIBRARIES,
    rounds: int = 3,
    seconds: float = 0.1,
    cores: int = 2,
) -> None:
    """Time density estimation in pushforward and its peers.

    Args:
        families: of flows.
        dims: dimensions D of the data.
        batches: rows at a time.
        operations: what is timed.
        libraries: what is compared.
        rounds: turns of each library in each cell, after one call to warm up; where that takes more than 3 seconds in
            one of them, it is the only one, and counts.
        seconds: how long a turn lasts at least.
        cores: that each library may use.
    """
    missing = [library for library in libraries if not installed(library)]
    for library in missing:
        print(f"skipped {library}: it is not installed")
    compared = [library for library in libraries if library not in missing]
    rows: list[Row] = []
    with ExitStack() as stack:
        calls = [stack.enter_context(worker(package=library)) for library in compared]
        pool = stack.enter_context(ThreadPoolExecutor())
        for cell in (Cell(*values) for values in product(families, dims, batches, operations)):
            waiting = [pool.submit(call, prepare, library, cell, cores) for library, call in zip(compared, calls)]
            for each in waiting:
                each.result()
            turns = [[call(take_turn, 0.0) for call in calls]]
            if max(turns[0]) <= SLOW:
                turns = [[call(take_turn, seconds) for call in calls] for _ in range(rounds)]
            rows.append(row(cell, compared, turns))
            print(rows[-1], flush=True)

    notes = (
        "Times are medians in ms, for a whole batch. Above 1 a peer is slower than pushforward. The inverse of an "
        "autoregressive layer takes D passes in zuko and FlowJAX; in pushforward it ends when nothing changes any "
        "more, so that `sample` of maf and nsf_autoregressive depends on the parameters too, which here are random "
        "ones. zuko has no recipe of coupling splines: its general coupling layer gets its spline. It runs on as many "
        "threads, one or all, as are faster in the cell."
    )
    report(
        "density_speed",
        f"Density estimation: {ARCHITECTURE}, float32, {cores} cores",
        rows,
        requirements(rows, [peer for peer in REQUIRED if peer in compared and "pushforward" in compared]),
        notes,
    )


def row(cell: Cell, compared: Sequence[Library], turns: Sequence[Sequence[float]]) -> Row:
    result: Row = {"family": cell.family, "D": cell.dim, "batch": cell.batch, "operation": cell.operation}
    times = {library: [each[index] for each in turns] for index, library in enumerate(compared)}
    for library in compared:
        result[f"{NAMES[library]}, ms"] = 1e3 * statistics.median(times[library])
    for peer in REQUIRED:
        if peer in times and "pushforward" in times:
            ratios = [theirs / ours for theirs, ours in zip(times[peer], times["pushforward"])]
            result[f"{NAMES[peer]} / pushforward"] = statistics.median(ratios)
    return result


def requirements(rows: Sequence[Row], peers: Sequence[Library]) -> list[Requirement]:
    found = []
    for peer in peers:
        limit, ratios = REQUIRED[peer], [float(row[f"{NAMES[peer]} / pushforward"]) for row in rows]
        least = rows[ratios.index(min(ratios))]
        cell = Cell(least["family"], least["D"], least["batch"], least["operation"])
        short = sum(ratio < limit for ratio in ratios)
        text = (
            f"against {NAMES[peer]}, at least {limit:g} in each of {len(rows)} cells ({short} below); lowest in {cell}"
        )
        found.append(at_least(text, min(ratios), limit))
        if peer == "zuko":
            twice = sum(ratio >= 2 for ratio in ratios)
            text = f"cells where zuko takes at least twice as long, at least {math.ceil(TWICE * len(rows))}"
            found.append(at_least(text, float(twice), math.ceil(TWICE * len(rows))))
    return found


if __name__ == "__main__":
    tyro.cli(main)
