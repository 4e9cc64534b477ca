"""Density estimation: time of `log_prob`, of `sample` and of a training step, beside zuko and FlowJAX.

The same architecture in each library, and networks that start alike, off the identity. `log_prob` and `sample` are
compiled in pushforward and FlowJAX and run without gradients in zuko; a training step is one of forward KL and Adam: of
`training.fit` in pushforward, of the compiled step that `fit_to_data` uses in FlowJAX, of an eager loop in zuko. Each
library has a process of its own on the same cores. They prepare a cell at the same time, run it once to warm up, and
then take turns. Ratios are taken within a round; their median is reported. The memory of a training step is what it
holds at its peak beyond parameters and optimiser: XLA's temporaries of the compiled step, or what PyTorch allocates.
"""

import json
import math
import os
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import cycle, product
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import tyro

from common import LEARNING_RATE, Requirement, Row, at_least, installed, report, worker
from density import (
    ARCHITECTURE,
    CONTINUATION,
    FAMILIES,
    LIBRARIES,
    TERMS,
    TOLERANCE,
    Family,
    Library,
    Smooth,
    flowjax_flow,
    flowjax_parts,
    normflows_residual_flow,
    pushforward_flow,
    spread_out,
    zuko_flow,
)
from memory import temporaries

Contender = Library | Literal["normflows"]
Operation = Literal["log_prob", "sample", "training step"]

CONTENDERS: tuple[Contender, ...] = (*LIBRARIES, "normflows")
PEERS: dict[Family | Smooth, tuple[Contender, ...]] = {
    **dict.fromkeys(FAMILIES, ("zuko", "flowjax")),
    "residual": ("normflows",),
    "continuous": ("zuko",),
}
OPERATIONS: tuple[Operation, ...] = get_args(Operation)
REQUIRED = {"zuko": 1.0, "flowjax": 1.0, "normflows": 1.0}
TWICE = 55 / 72  # of the cells, where zuko takes twice as long
NAMES = {"pushforward": "pushforward", "zuko": "zuko", "flowjax": "FlowJAX", "normflows": "normflows"}
MB = 1e6
WEIGHED = 4096  # rows of the batch whose memory is measured: it is linear in them
BATCHES_OF_DATA = 4
LARGE = 2**17  # numbers in a batch
TRIAL = 0.05  # seconds for a number of threads
LIMIT = 60.0  # seconds that a call may take by what it took at the batch before
SLOW = 3.0  # seconds; what takes longer at its first call is not called again

Turn = Callable[[float], float]


@dataclass(frozen=True)
class Cell:
    """One row of the table."""

    family: Family | Smooth
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


def pushforward_start(cell: Cell, key: Any) -> Any:
    import jax

    key_flow, key_start = jax.random.split(key)
    return spread_out(pushforward_flow(cell.family, cell.dim, key_flow), key_start)


def pushforward_fit(cell: Cell) -> Callable[..., Any]:
    """`training.fit`, which takes the arguments that are still open."""
    import jax
    import optax

    from pushforward import objectives, training

    return partial(
        training.fit,
        training.ensemble(partial(pushforward_start, cell), jax.random.key(0), 1),
        objectives.ForwardKL(jax.numpy.asarray(data(cell)), cell.batch),
        key=jax.random.key(1),
        optimizer=optax.adam(LEARNING_RATE),
        # A loop starts with 16 steps at once, which takes long in large cells: a record ends them.
        record_every=1 if cell.dim * cell.batch > LARGE or cell.family in get_args(Smooth) else None,
    )


def pushforward_turn(cell: Cell) -> Turn:
    import jax

    if cell.operation != "training step":
        return compiled(pushforward_start(cell, jax.random.key(0)), cell)
    loop = TrainingLoop(pushforward_fit(cell))
    loop(0.0)  # compiles
    return loop


def pushforward_memory(cell: Cell) -> int:
    return temporaries(pushforward_fit(cell))


def flowjax_turn(cell: Cell) -> Turn:
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.train.losses import MaximumLikelihoodLoss
    from flowjax.train.train_utils import get_batches, step

    flow = _flowjax_start(cell)
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


def flowjax_memory(cell: Cell) -> int:
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.train.losses import MaximumLikelihoodLoss
    from flowjax.train.train_utils import step

    params, static = flowjax_parts(_flowjax_start(cell))
    optimizer = optax.adam(LEARNING_RATE)
    lowered = step.lower(
        params,
        static,
        jnp.asarray(data(cell)[: cell.batch]),
        optimizer=optimizer,
        opt_state=optimizer.init(params),
        loss_fn=MaximumLikelihoodLoss(),
        key=jax.random.key(1),
    )
    size: int = lowered.compile().compiled.memory_analysis().temp_size_in_bytes
    return size


def _flowjax_start(cell: Cell) -> Any:
    import jax

    assert cell.family != "residual"
    assert cell.family != "continuous"
    return flowjax_flow(cell.family, cell.dim, jax.random.key(0))


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


def torch_turn(cell: Cell) -> Turn:
    """The first turn, when no other library is busy, finds out how many threads are faster."""
    import torch

    measured = repeated(torch_call(cell))
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


def torch_call(cell: Cell) -> Callable[[], Any]:
    """Once what the cell is of, in zuko, or in normflows where the flow is a residual one."""
    import torch

    torch.manual_seed(0)
    x = torch.from_numpy(data(cell))
    rows = x[: cell.batch]
    if cell.family == "residual":
        import normflows

        flow = normflows_residual_flow(cell.dim)
        log_prob, sample = flow.log_prob, lambda: flow.sample(cell.batch)
        after = partial(normflows.utils.update_lipschitz, flow, 5)
    else:
        flow = zuko_flow(cell.family, cell.dim)
        log_prob, sample = lambda x: flow().log_prob(x), lambda: flow().sample((cell.batch,))
        after = None
    if cell.operation == "log_prob":
        return torch.no_grad()(lambda: log_prob(rows))
    if cell.operation == "sample":
        return torch.no_grad()(sample)
    optimizer = torch.optim.Adam(flow.parameters(), LEARNING_RATE)

    def one() -> None:
        loss = -log_prob(x[torch.randint(len(x), (cell.batch,))]).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if after is not None:
            after()

    return one


def torch_memory(cell: Cell) -> int:
    """Read off the profiler, which notes how much is allocated after every change."""
    from torch.profiler import ProfilerActivity, profile

    call = torch_call(cell)
    call()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        call()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiled.export_chrome_trace(str(path))
        events = json.loads(path.read_text())["traceEvents"]
    changes = [event["args"] for event in events if event["name"] == "[memory]"]
    held = [change["Total Allocated"] for change in changes]
    size: int = max(held) - (held[0] - changes[0]["Bytes"])
    return size


TURNS: dict[Contender, Callable[[Cell], Turn]] = {
    "pushforward": pushforward_turn,
    "zuko": torch_turn,
    "flowjax": flowjax_turn,
    "normflows": torch_turn,
}
MEMORY: dict[Contender, Callable[[Cell], int]] = {
    "pushforward": pushforward_memory,
    "zuko": torch_memory,
    "flowjax": flowjax_memory,
    "normflows": torch_memory,
}


def data(cell: Cell) -> np.ndarray:
    """Correlated normal rows."""
    rng = np.random.default_rng(0)
    mixing = np.eye(cell.dim) + rng.normal(size=(cell.dim, cell.dim)) / cell.dim
    return (rng.normal(size=(BATCHES_OF_DATA * cell.batch, cell.dim)) @ mixing).astype(np.float32)


_turn: Turn | None = None


def memory(library: Contender, cell: Cell) -> int:
    """Bytes."""
    return MEMORY[library](cell)


def prepare(library: Contender, cell: Cell, cores: int) -> None:
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
    families: tuple[Family | Smooth, ...] = tuple(PEERS),
    dims: tuple[int, ...] = (2, 10, 64),
    batches: tuple[int, ...] = (32, 256, 4096, 32_768),
    operations: tuple[Operation, ...] = OPERATIONS,
    libraries: tuple[Contender, ...] = CONTENDERS,
    rounds: int = 3,
    seconds: float = 0.1,
    cores: int = 2,
    name: str = "density_speed",
) -> None:
    """Time density estimation in pushforward and its peers.

    Args:
        families: of flows.
        dims: dimensions D of the data.
        batches: rows at a time, in ascending order.
        operations: what is timed.
        libraries: what is compared.
        rounds: turns of each library in each cell, after one call to warm up; where that takes more than 3 seconds in
            one of them, it is the only one, and counts.
        seconds: how long a turn lasts at least.
        cores: that each library may use.
        name: of the files that are written.
    """
    missing = [library for library in libraries if not installed(library)]
    for library in missing:
        print(f"skipped {library}: it is not installed")
    compared = [library for library in libraries if library not in missing]
    rows: list[Row] = []
    with ExitStack() as stack:
        calls = {library: stack.enter_context(worker(package=library)) for library in compared}
        pool = stack.enter_context(ThreadPoolExecutor())
        for family, dim, operation in product(families, dims, operations):
            known = [library for library in compared if library in ("pushforward", *PEERS[family])]
            expected = dict.fromkeys(known, 0.0)
            for batch in batches:
                cell = Cell(family, dim, batch, operation)
                able = [library for library in known if batch * expected[library] < LIMIT]
                turns, held = measured(
                    cell, {library: calls[library] for library in able}, pool, rounds, seconds, cores
                )
                expected = {library: statistics.median(turns.get(library, [math.inf])) / batch for library in known}
                rows.append(row(cell, compared, turns, held))
                print(rows[-1], flush=True)

    notes = (
        "Times are medians in ms, for a whole batch. Above 1 a peer is slower than pushforward. MB are what a training "
        f"step of {WEIGHED:,} rows holds at its peak beyond parameters and optimiser. The inverse of an "
        "autoregressive layer takes D passes in zuko and FlowJAX; in pushforward it ends when nothing changes any "
        "more, so that `sample` of maf and nsf_autoregressive depends on the parameters too, which here are random "
        "ones. zuko has no recipe of coupling splines: its general coupling layer gets its spline. It runs on as many "
        "threads, one or all, as are faster in the cell. A dash: the peer has no such flow or, at a large batch, "
        f"would take more than {LIMIT:.0f} s by its time at the batch before. Residual flows estimate their "
        f"log-determinants, with {TERMS} exact terms and {1 / (1 - CONTINUATION):.0f} more on average; continuous ones "
        f"are of one field with the exact trace, solved to {TOLERANCE:g}, by steps of its own for each row in "
        "pushforward, for all rows together in zuko."
    )
    report(
        name,
        f"Density estimation: {ARCHITECTURE}, float32, {cores} cores",
        rows,
        requirements(rows, [peer for peer in REQUIRED if peer in compared and "pushforward" in compared]),
        notes,
    )


def measured(
    cell: Cell,
    calls: dict[Contender, Callable[..., Any]],
    pool: ThreadPoolExecutor,
    rounds: int,
    seconds: float,
    cores: int,
) -> tuple[dict[Contender, list[float]], dict[Contender, int]]:
    """Seconds of every library, turn by turn, and the bytes that its training step holds."""
    waiting = [pool.submit(call, prepare, library, cell, cores) for library, call in calls.items()]
    for each in waiting:
        each.result()
    turns = {library: [call(take_turn, 0.0)] for library, call in calls.items()}
    if max(first for (first,) in turns.values()) <= SLOW:
        turns = {library: [] for library in calls}
        for _ in range(rounds):
            for library, call in calls.items():
                turns[library].append(call(take_turn, seconds))
    if cell.operation != "training step" or cell.batch != WEIGHED:
        return turns, {}
    return turns, {library: call(memory, library, cell) for library, call in calls.items()}


def row(
    cell: Cell, compared: Sequence[Contender], turns: dict[Contender, list[float]], held: dict[Contender, int]
) -> Row:
    result: Row = {"family": cell.family, "D": cell.dim, "batch": cell.batch, "operation": cell.operation}
    for library in compared:
        result[f"{NAMES[library]}, ms"] = 1e3 * statistics.median(turns[library]) if library in turns else None
    for peer in REQUIRED:
        if peer in compared and "pushforward" in compared:
            ratios = [theirs / ours for theirs, ours in zip(turns.get(peer, []), turns.get("pushforward", []))]
            result[ratio_of(peer)] = statistics.median(ratios) if ratios else None
    for library in compared:
        result[f"{NAMES[library]}, MB"] = held[library] / MB if library in held else None
    return result


def ratio_of(peer: Contender) -> str:
    """The name of a column."""
    return f"{NAMES[peer]} / pushforward"


def requirements(rows: Sequence[Row], peers: Sequence[Contender]) -> list[Requirement]:
    found = []
    for peer in peers:
        both = [(float(ratio), row) for row in rows if (ratio := row[ratio_of(peer)]) is not None]
        if not both:
            continue
        limit = REQUIRED[peer]
        least, where = min(both, key=lambda pair: pair[0])
        cell = f"{where['family']}, D = {where['D']}, batch {where['batch']}, {where['operation']}"
        short = sum(ratio < limit for ratio, _ in both)
        text = (
            f"against {NAMES[peer]}, at least {limit:g} in each of {len(both)} cells ({short} below); lowest in {cell}"
        )
        found.append(at_least(text, least, limit))
        if peer == "zuko":
            twice = sum(ratio >= 2 for ratio, _ in both)
            needed = math.ceil(TWICE * len(both))
            text = f"cells where zuko takes at least twice as long, at least {needed} of {len(both)}"
            found.append(at_least(text, float(twice), needed))
    return found


if __name__ == "__main__":
    tyro.cli(main)
