"""Runs: folders that hold everything about an experiment, and can be reread without the process that wrote them."""

import json
import os
import platform
import shutil
from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array

from pushforward.dequantize import Dequantized
from pushforward.distributions import Distribution
from pushforward.errors import UserError
from pushforward.evaluation.means import numbers
from pushforward.experiments import registry
from pushforward.experiments.config import RunConfig, from_yaml, to_yaml
from pushforward.experiments.files import PARTIAL, write_whole
from pushforward.experiments.locks import HOLDER, LOCK, locked
from pushforward.programs import forget_programs
from pushforward.saving import load_flow
from pushforward.training import Checkpoints, Diverged, Record
from pushforward.types import PRNGKeyArray

CONFIG, METRICS, CHECKPOINTS, RESULT, DATA = "config.yaml", "metrics.jsonl", "checkpoints", "result.json", "data.json"
POINTS, DIVERGED = "points", "diverged.json"
PARTS = (CONFIG, METRICS, CHECKPOINTS, RESULT, DATA, POINTS, DIVERGED, "figures", "report.html")
BEFORE_CONFIG = {METRICS, DATA, LOCK, HOLDER, DATA + PARTIAL, CONFIG + PARTIAL}
"""What a run that was stopped while it was made may have left, without its configuration."""


@dataclass(frozen=True)
class Sampler:
    """How a trained model is drawn from.

    Attributes:
        shape: of a sample.
        arrays: what a draw consists of, in order: its samples and what they come with, such as their log-densities. Of
            each, the names of its numbers, where they have any.
        draw: from a key, and the first and the number of the draws, to an array of each, `(draws, ...)`.
        categories: by the names of numbers that stand for words, these words.
    """

    shape: tuple[int, ...]
    arrays: Mapping[str, tuple[str, ...]]
    draw: Callable[[PRNGKeyArray, int, int], tuple[Array, ...]]
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """An experiment on disk.

    Attributes:
        folder: where it is.
        config: its settings.
        on_saved: called when a checkpoint is written.
        devices: that share its training; see `training.fit`.
        on_record: called with every record that is kept.
    """

    folder: Path
    config: Any
    on_saved: Callable[[], None] | None = None
    devices: int | None = None
    on_record: Callable[[Record], None] | None = None

    def settled(self) -> Any:
        """The configuration, with what it leaves open chosen by the data."""
        return self.config

    @abstractmethod
    def prepare(self) -> dict[str, Any] | None:
        """Refuse what cannot be run before anything is written; what `data.json` should say, if there is one."""

    @property
    @abstractmethod
    def checkpoints(self) -> Checkpoints:
        """Where training is saved."""

    @property
    @abstractmethod
    def model(self) -> Distribution | Dequantized:
        """The best restart, trained."""

    @property
    def flow(self) -> Distribution:
        """The best restart, trained, as a density; of images in [0, 1]."""
        return self.model.flow if isinstance(self.model, Dequantized) else self.model

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the numbers of a sample, where they have any."""
        return ()

    @property
    def finished(self) -> bool:
        """Whether there is a result."""
        return (self.folder / RESULT).is_file()

    @cached_property
    def result(self) -> dict[str, Any]:
        """The content of `result.json`.

        Raises:
            UserError: the run is not finished.
        """
        if not self.finished:
            again = f"pushforward {self.config.COMMAND} --resume {self.folder}"
            raise UserError(f"{self.folder} is not finished; {again} goes on with it")
        return json.loads((self.folder / RESULT).read_text())

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; one that a full disk cut short is left out."""
        lines = (self.folder / METRICS).read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def write_result(self, result: dict[str, Any]) -> None:
        """Write `result.json`, whole or not at all."""
        write_whole(self.folder / RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")

    def append_record(self, record: Record) -> None:
        """Add a line to `metrics.jsonl`."""
        line: dict[str, Any] = {"step": record.step, "loss": numbers(record.loss), "seconds": record.seconds}
        if record.validation is not None:
            line["validation"] = numbers(record.validation)
        with (self.folder / METRICS).open("a") as file:
            file.write(json.dumps(line) + "\n")
        if self.on_record is not None:
            self.on_record(record)

    def drop_records_after(self, step: int) -> None:
        """Forget the records that are newer than the checkpoint that training goes on from."""
        kept = [line for line in self.metrics if line["step"] <= step]
        write_whole(self.folder / METRICS, "".join(json.dumps(line) + "\n" for line in kept))

    def _checkpoints(self, keep: Collection[int] = (), every_seconds: float = 10.0) -> Checkpoints:
        return Checkpoints(self.folder / CHECKPOINTS, keep, every_seconds, self.on_saved)

    @property
    def sampler(self) -> Sampler:
        """How the model is drawn from: samples of a flow come with their log-densities, in nats."""
        flow = self.flow
        draw = eqx.filter_jit(lambda flow, key, size: flow.sample_and_log_prob(key, (size,)))
        arrays: dict[str, tuple[str, ...]] = {"samples": (), "log_prob": ()}
        return Sampler(flow.shape, arrays, lambda key, _, size: draw(flow, key, size))

    @property
    def _kind(self) -> registry.Kind:
        return registry.kind(self.config.KIND)

    def train(self, *, quiet: bool = False) -> dict[str, Any]:
        """Train from the newest checkpoint, or from the start; judge the model; write `result.json`.

        Where every restart diverges, `diverged.json` says at which step and in which leaf the first one did.

        Returns:
            The content of `result.json`.

        Raises:
            UserError: the settings or the data cannot work, a checkpoint cannot be read or written, or another process
                trains the run.
            Diverged: every restart met a number that is not finite.
            Interrupted: a signal arrived; the checkpoint is written.
        """
        with locked(self.folder):
            (self.folder / DIVERGED).unlink(missing_ok=True)
            try:
                return registry.resolve(self._kind.train)(self, quiet=quiet)
            except Diverged as error:
                first = min(error.divergences, key=lambda divergence: divergence.step)
                write_whole(self.folder / DIVERGED, json.dumps({"step": first.step, "leaf": first.leaf}) + "\n")
                raise

    def longer(self, steps: int) -> "Run":
        """The same run with more steps, finished or not, to be trained on.

        A schedule of the learning rate is from then on that of so many steps; what it was before stays.

        Args:
            steps: in all.

        Raises:
            UserError: it does not train for a number of steps, has as many already, or has stopped before them.
        """
        before = getattr(self.config, "steps", None)
        if before is None:
            raise UserError(f"{self.folder} is not trained for a number of steps")
        if steps <= before:
            raise UserError(f"{self.folder} has {before:,} steps; --steps must be more, got {steps:,}")
        last = max((record["step"] for record in self.metrics), default=before)
        if self.finished and last < before:
            raise UserError(f"{self.folder} stopped by itself at step {last:,} of {before:,}; it would take no more")
        config = replace(self.config, steps=steps)
        config.check()
        with locked(self.folder):
            write_whole(self.folder / CONFIG, to_yaml(config))
            for name in (RESULT, "report.html"):
                (self.folder / name).unlink(missing_ok=True)
        return replace(self, config=config)

    def withdraw(self) -> None:
        """Remove the files of a run of which nothing was trained, and its folder where nothing else is in it."""
        if self.finished or (self.folder / CHECKPOINTS).exists():
            return
        for name in (CONFIG, METRICS, DATA, LOCK):
            (self.folder / name).unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()

    def write_report(self) -> Path:
        """Write the figures and `report.html` of the finished run into its folder.

        Returns:
            The path of `report.html`.

        Raises:
            UserError: the run is not finished, or its data have changed.
        """
        return registry.resolve(self._kind.report)(self)

    def show(self, report: Path) -> None:
        """Print the numbers of the finished run, what is wrong with them, and where the report is."""
        registry.resolve(self._kind.show)(self, report)


def _run(folder: Path, config: RunConfig) -> Any:
    return registry.resolve(registry.kind(config.KIND).run)(folder, config)


def settled(config: RunConfig) -> Any:
    """The settings of a run, with those that are left open chosen by the data.

    Raises:
        UserError: the data cannot be read.
    """
    return _run(Path(), config).settled()


def check_run(config: RunConfig) -> None:
    """Refuse what cannot be run, before anything is written.

    Raises:
        UserError: the settings or the data cannot work.
    """
    config.check()
    _run(Path(), settled(config)).prepare()


def start_run(config: RunConfig, folder: Path | None, force: bool) -> Any:
    """A new run in `folder`, by default a fresh one under `runs/`.

    Raises:
        UserError: the settings cannot work; or the folder holds a run and `force` is not given, holds something else,
            cannot be written, or is in use by another process. Nothing is written then.
    """
    config.check()
    config = settled(config)
    if folder is None:
        folder = _fresh_folder(Path("runs"), config.folder_name)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file")
    if folder.is_dir() and {path.name for path in folder.iterdir()} - BEFORE_CONFIG:
        if not (folder / CONFIG).is_file():
            raise UserError(f"{folder} is not empty and holds no run; choose another --out")
        if not force:
            raise UserError(f"{folder} holds another run; choose another --out, or overwrite it with --force")
    run = _run(folder, config)
    described = run.prepare()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            for part in (*PARTS, *(name for kind in registry.KINDS for name in registry.kind(kind).files)):
                path = folder / part
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            (folder / METRICS).touch()
            if described is not None:
                write_whole(folder / DATA, json.dumps(described, indent=2) + "\n")
            write_whole(folder / CONFIG, to_yaml(config))
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
    return run


def open_run(folder: str | Path) -> Any:
    """The run in `folder`: its `config`, `result` and `metrics`, its `model`, and of a flow the density, `flow`.

    A fit of a function of one's own opens without that function; only its `target` imports it.

    Raises:
        UserError: there is none.

    Example:
        >>> run = pushforward.open_run("runs/planar-20")
        >>> run.result["free_energy"], run.model.decoder(z)
    """
    folder = Path(folder)
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder} is not a run: it has no {CONFIG}")
    config = from_yaml(path.read_text(), str(path))
    config.check()
    return _run(folder, config)


def run_of(config: RunConfig, folder: Path) -> Any:
    """The run in `folder`, begun unless it is there.

    Args:
        config: its settings.
        folder: a new one unless it holds this run.

    Raises:
        UserError: the folder holds a run with other settings, or the run cannot be begun.
    """
    config = settled(config)
    run = open_run(folder) if (folder / CONFIG).is_file() else start_run(config, folder, force=False)
    if run.config != config:
        raise UserError(f"{folder} holds another run; choose another --out")
    return run


def finished_run(
    config: RunConfig, folder: Path, *, quiet: bool = False, on_saved: Callable[[], None] | None = None
) -> Any:
    """The run in `folder`, trained unless it is there and finished.

    Args:
        config: its settings.
        folder: a new one unless it holds this run.
        quiet: no progress bar.
        on_saved: called when a checkpoint is written.

    Raises:
        UserError: the folder holds a run with other settings, or the run cannot be trained.
    """
    run = run_of(config, folder)
    if not run.finished:
        replace(run, on_saved=on_saved).train(quiet=quiet)
        forget_programs()
    return run


def load(path: str | Path) -> Any:
    """The trained flow of a finished run, as a density, of images in [0, 1]; or what `pushforward.save` has written.

    Args:
        path: the folder of a run, or a file.

    Raises:
        UserError: the folder holds no finished run, or the file no flow.

    Example:
        >>> flow = pushforward.load("runs/u4")
        >>> x, log_prob = flow.sample_and_log_prob(jax.random.key(0), (1000,))
    """
    return load_flow(path) if Path(path).is_file() else open_run(path).flow


def environment() -> dict[str, str]:
    """What the numbers of a run were made with."""
    devices = jax.local_devices()
    return {
        "pushforward": version("pushforward"),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "device": f"{len(devices)} x {devices[0].device_kind}",
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "platform": platform.platform(terse=True),
    }


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _fresh_folder(parent: Path, name: str) -> Path:
    candidates = [parent / name, *(parent / f"{name}-{number}" for number in range(2, 10_000))]
    return next(candidate for candidate in candidates if not candidate.exists())
