"""What the benchmarks share: worker processes, the reference problem, and how a result is written down."""

import json
import os
import pickle
import platform
import re
import shlex
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

RESULTS = Path(__file__).parent.parent / "results" / "benchmarks"
PACKAGES = ("jax", "jaxlib", "equinox", "optax", "numpy", "pushforward")
TORCH = ("torch", "zuko", "normflows", "nflows")
PEERS = ("flowjax", *TORCH)
TORCH_PYTHON = os.environ.get("TORCH_PYTHON")
"""The interpreter that PyTorch and what stands on it are installed for, where it is not this one."""

LEARNING_RATE = 5e-3
TARGET = "u4"

Cell = str | int | float | None
Row = dict[str, Cell]


@dataclass(frozen=True)
class Requirement:
    """One number that the project holds itself to; `value` is None where it was not measured."""

    text: str
    value: float | None
    met: bool | None

    @property
    def verdict(self) -> str:
        return {True: "met", False: "NOT MET", None: "not measured"}[self.met]

    def __str__(self) -> str:
        return f"{self.text}: {'-' if self.value is None else _shown(self.value)} ({self.verdict})"


def at_most(text: str, value: float | None, limit: float) -> Requirement:
    return Requirement(text, value, None if value is None else bool(value <= limit))


def at_least(text: str, value: float | None, limit: float) -> Requirement:
    return Requirement(text, value, None if value is None else bool(value >= limit))


@contextmanager
def worker(
    devices: int | None = 1, *, reused: bool = True, package: str = "pushforward"
) -> Iterator[Callable[..., Any]]:
    """`call(function, *arguments)` in a process of its own: one for all calls, or a fresh one for each.

    The processes see `devices` CPU devices, or choose for themselves where it is None, and no compilation cache. Only
    they import JAX or PyTorch, so that no library's threads, caches or memory disturb another's. One for a package that
    stands on PyTorch belongs to `TORCH_PYTHON`.
    """
    environment = {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    if devices is not None:
        environment["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={devices}"
    if TORCH_PYTHON is not None and package in TORCH:
        with _foreign(TORCH_PYTHON) as call:
            yield call
        return
    with ProcessPoolExecutor(
        1,
        mp_context=get_context("spawn"),
        initializer=_set_environment,
        initargs=(environment,),
        max_tasks_per_child=None if reused else 1,
    ) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result()


@contextmanager
def _foreign(python: str) -> Iterator[Callable[..., Any]]:
    """Calls in a process of another interpreter, which imports the script that runs here."""
    here = Path(__file__).parent
    command = [python, str(here / "foreign.py"), Path(sys.argv[0]).stem]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        to, back = process.stdin, process.stdout

        def call(function: Callable[..., Any], *arguments: Any) -> Any:
            pickle.dump((function, arguments), to)
            to.flush()
            failed, result = pickle.load(back)
            if failed:
                raise RuntimeError(result)
            return result

        yield call
        to.close()


def _set_environment(variables: dict[str, str]) -> None:
    os.environ.update(variables)


def pushforward_fit(length: int, batch: int, members: int = 1) -> Callable[..., Any]:
    """`pushforward.training.fit` for `members` planar flows on the target; takes the arguments that are still open."""
    import jax
    import optax

    from pushforward import flows, objectives, targets, training

    target = targets.make(TARGET)
    models = training.ensemble(lambda key: flows.planar(key, 2, length), jax.random.key(0), members)

    def loss(flow: Any, key: Any, _: Any) -> Any:
        return objectives.free_energy(flow, jax.vmap(target.log_density), key, batch)

    return partial(training.fit, models, loss, key=jax.random.key(1), optimizer=optax.adam(LEARNING_RATE))


def flowjax_fit(length: int, batch: int, *, recipe: bool = False) -> Callable[..., Any]:
    """FlowJAX's own training loop for the same flow; `recipe` takes its `planar_flow`, which permutes between layers.

    The target is pushforward's, so that both work equally hard on it; the progress bar is off.
    """
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax
    from flowjax.bijections import Planar, Scan
    from flowjax.distributions import Normal, Transformed
    from flowjax.flows import planar_flow
    from flowjax.train import fit_to_key_based_loss
    from flowjax.train.losses import ElboLoss

    from pushforward import targets

    base, key = Normal(jnp.zeros(2)), jax.random.key(0)
    if recipe:
        flow = planar_flow(key, base_dist=base, flow_layers=length, invert=False)
    else:
        layers = eqx.filter_vmap(lambda key: Planar(key, dim=2))(jax.random.split(key, length))
        flow = Transformed(base, Scan(layers))
    return partial(
        fit_to_key_based_loss,
        jax.random.key(1),
        flow,
        loss_fn=ElboLoss(targets.make(TARGET).log_density, batch),
        optimizer=optax.adam(LEARNING_RATE),
        show_progress=False,
    )


def installed(package: str) -> bool:
    return _version(package) is not None


@cache
def _version(package: str) -> str | None:
    if TORCH_PYTHON is not None and package in TORCH:
        asked = f"from importlib.metadata import version; print(version({package!r}))"
        found = subprocess.run([TORCH_PYTHON, "-c", asked], capture_output=True, text=True)
        return found.stdout.strip() or None
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def report(name: str, title: str, rows: Sequence[Row], requirements: Sequence[Requirement], notes: str = "") -> None:
    """Print a table and write `results/benchmarks/NAME.json` and `.md`."""
    columns = list(rows[0])
    table = Table(title=title)
    for column in columns:
        table.add_column(column, justify="left" if isinstance(rows[0][column], str) else "right")
    for row in rows:
        table.add_row(*(escape(_shown(row[column])) for column in columns))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for requirement in requirements:
        console.print(str(requirement), style="green" if requirement.met else "yellow")

    facts = _facts()
    RESULTS.mkdir(parents=True, exist_ok=True)
    record = {
        "title": title,
        **facts,
        "rows": rows,
        "requirements": [asdict(requirement) for requirement in requirements],
        "notes": notes,
    }
    (RESULTS / f"{name}.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n")

    rules = ["---" if isinstance(rows[0][column], str) else "---:" for column in columns]
    lines = [columns, rules, *([_shown(row[column]) for column in columns] for row in rows)]
    versions = ", ".join(f"{package} {number}" for package, number in facts["versions"].items())
    text = [
        f"# {title}\n",
        f"`{facts['command']}` · {facts['date']} · {facts['cpu']}, {facts['cores']} cores · {versions}\n",
        *(f"| {' | '.join(cells)} |" for cells in lines),
        "",
        *(f"- {requirement}" for requirement in requirements),
        *(["", notes] if notes else []),
    ]
    (RESULTS / f"{name}.md").write_text("\n".join(text).rstrip() + "\n")
    console.print(f"wrote {RESULTS / name}.json and .md")


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Minimum, median, maximum."""
    return min(values), statistics.median(values), max(values)


def _shown(value: Cell) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else value


def _facts() -> dict[str, Any]:
    script = Path(sys.argv[0])
    return {
        "command": shlex.join(["python", f"benchmarks/{script.name}", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "platform": platform.platform(),
        "versions": {
            "python": platform.python_version(),
            **{package: found for package in (*PACKAGES, *PEERS) if (found := _version(package)) is not None},
        },
    }


def _cpu() -> str:
    try:
        match = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        match = None
    return match[1] if match else platform.processor() or platform.machine()
