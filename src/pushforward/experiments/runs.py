"""Runs: folders that hold everything about a fit, and can be reread without the process that wrote them."""

import json
import os
import platform
import shutil
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import numpy as np

from pushforward import targets
from pushforward.distributions import Pushforward
from pushforward.errors import UserError
from pushforward.experiments.build import make_ensemble
from pushforward.experiments.config import FitConfig, from_yaml, to_yaml
from pushforward.targets import Target
from pushforward.training import Checkpoints, Record, member, restore_models

CONFIG, METRICS, CHECKPOINTS, RESULT = "config.yaml", "metrics.jsonl", "checkpoints", "result.json"
PARTS = (CONFIG, METRICS, CHECKPOINTS, RESULT, "figures", "report.html")


@dataclass(frozen=True)
class Run:
    """A fit on disk.

    Attributes:
        folder: where it is.
        config: its settings.
    """

    folder: Path
    config: FitConfig

    @cached_property
    def target(self) -> Target:
        """What was fitted."""
        return targets.make(self.config.target, self.config.dim, log_z=self.config.log_z)

    @property
    def finished(self) -> bool:
        """Whether there is a result."""
        return (self.folder / RESULT).is_file()

    @cached_property
    def result(self) -> dict[str, Any]:
        """The content of `result.json`.

        Raises:
            UserError: the fit is not finished.
        """
        if not self.finished:
            raise UserError(f"{self.folder} is not finished; pushforward fit --resume {self.folder} goes on with it")
        result: dict[str, Any] = json.loads((self.folder / RESULT).read_text())
        return result

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; one that a full disk cut short is left out."""
        lines = (self.folder / METRICS).read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    @property
    def checkpoints(self) -> Checkpoints:
        """The checkpoints, one kept for each frame of the animation."""
        steps, frames = self.config.steps, self.config.frames
        # Early training changes most: the frames stand at squares.
        kept = {round(steps * ((frame + 1) / frames) ** 2) for frame in range(frames)} - {0}
        return Checkpoints(self.folder / CHECKPOINTS, kept)

    @cached_property
    def flow(self) -> Pushforward:
        """The best restart, trained."""
        return self._flow_at(self.checkpoints.steps()[-1])

    @cached_property
    def snapshots(self) -> list[tuple[int, Pushforward]]:
        """The best restart along training: `(steps done, flow)`."""
        return [(step, self._flow_at(step)) for step in self.checkpoints.steps()]

    @cached_property
    def _template(self) -> Pushforward:
        return make_ensemble(self.config, self.target.dim)

    def _flow_at(self, step: int) -> Pushforward:
        return member(restore_models(self.checkpoints, step, self._template), self.result["best_restart"])

    def write_result(self, result: dict[str, Any]) -> None:
        """Write `result.json`, whole or not at all."""
        self._write_whole(RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")

    def append_record(self, record: Record) -> None:
        """Add a line to `metrics.jsonl`."""
        loss = [None if np.isnan(value) else float(value) for value in record.loss]
        with (self.folder / METRICS).open("a") as file:
            file.write(json.dumps({"step": record.step, "loss": loss, "seconds": record.seconds}) + "\n")

    def drop_records_after(self, step: int) -> None:
        """Forget the records that are newer than the checkpoint that training goes on from."""
        kept = [line for line in self.metrics if line["step"] <= step]
        self._write_whole(METRICS, "".join(json.dumps(line) + "\n" for line in kept))

    def _write_whole(self, name: str, text: str) -> None:
        partial = self.folder / f"{name}.partial"
        partial.write_text(text)
        partial.replace(self.folder / name)


def start_run(config: FitConfig, folder: Path | None, force: bool) -> Run:
    """A new run in `folder`, by default a fresh one under `runs/`.

    Raises:
        UserError: the settings cannot work; or the folder holds a run and `force` is not given, holds something else,
            or cannot be written. Nothing is written then.
    """
    config.check()
    if folder is None:
        folder = _fresh_folder(Path("runs"), f"{config.target.replace(':', '-')}-{config.flow}-{config.length}")
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / CONFIG).is_file():
            raise UserError(f"{folder} is not empty and holds no run; choose another --out")
        if not force:
            raise UserError(f"{folder} holds another run; choose another --out, or overwrite it with --force")
    run = Run(folder, config)
    eqx.filter_eval_shape(make_ensemble, config, run.target.dim)
    try:
        for part in PARTS:
            path = folder / part
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / METRICS).touch()
        (folder / CONFIG).write_text(to_yaml(config))
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
    return run


def open_run(folder: Path) -> Run:
    """The run in `folder`.

    Raises:
        UserError: there is none.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder} is not a run: it has no {CONFIG}")
    config = from_yaml(path.read_text(), str(path))
    config.check()
    return Run(folder, config)


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
