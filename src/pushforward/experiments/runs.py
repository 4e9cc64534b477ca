"""Runs: folders that hold everything about an experiment, and can be reread without the process that wrote them."""

import hashlib
import json
import os
import platform
import shutil
from abc import abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pushforward import data, targets
from pushforward.data import Dataset
from pushforward.data.observe import Observation
from pushforward.dequantize import Dequantized
from pushforward.distributions import Distribution, Pushforward
from pushforward.errors import UserError
from pushforward.experiments.build import (
    make_dlgm_ensemble,
    make_fit_ensemble,
    make_observation,
    make_train_ensemble,
)
from pushforward.experiments.config import DlgmConfig, FitConfig, RunConfig, TrainConfig, from_yaml, to_yaml
from pushforward.experiments.suited import suited
from pushforward.models import DLGM
from pushforward.targets import Target, is_path
from pushforward.training import Checkpoints, Record, member, restore_models

CONFIG, METRICS, CHECKPOINTS, RESULT, DATA = "config.yaml", "metrics.jsonl", "checkpoints", "result.json", "data.json"
POINTS = "points"
PARTS = (CONFIG, METRICS, CHECKPOINTS, RESULT, DATA, POINTS, "figures", "report.html")


@dataclass(frozen=True)
class Run:
    """An experiment on disk.

    Attributes:
        folder: where it is.
        config: its settings.
    """

    folder: Path
    config: Any

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
        result: dict[str, Any] = json.loads((self.folder / RESULT).read_text())
        return result

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`; one that a full disk cut short is left out."""
        lines = (self.folder / METRICS).read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def write_result(self, result: dict[str, Any]) -> None:
        """Write `result.json`, whole or not at all."""
        self._write_whole(RESULT, json.dumps(result, indent=2, allow_nan=False) + "\n")

    def append_record(self, record: Record) -> None:
        """Add a line to `metrics.jsonl`."""
        line: dict[str, Any] = {"step": record.step, "loss": _numbers(record.loss), "seconds": record.seconds}
        if record.validation is not None:
            line["validation"] = _numbers(record.validation)
        with (self.folder / METRICS).open("a") as file:
            file.write(json.dumps(line) + "\n")

    def drop_records_after(self, step: int) -> None:
        """Forget the records that are newer than the checkpoint that training goes on from."""
        kept = [line for line in self.metrics if line["step"] <= step]
        self._write_whole(METRICS, "".join(json.dumps(line) + "\n" for line in kept))

    def _write_whole(self, name: str, text: str) -> None:
        partial = self.folder / f"{name}.partial"
        partial.write_text(text)
        partial.replace(self.folder / name)

    def _checkpoints(self, keep: Collection[int] = ()) -> Checkpoints:
        return Checkpoints(self.folder / CHECKPOINTS, keep)


@dataclass(frozen=True)
class FitRun(Run):
    """A flow fitted to a density."""

    config: FitConfig

    @cached_property
    def target(self) -> Target:
        """What was fitted."""
        return targets.make(self.config.target, self.config.dim, log_z=self.config.log_z)

    def prepare(self) -> None:
        eqx.filter_eval_shape(make_fit_ensemble, self.config, self.target.dim)

    @property
    def checkpoints(self) -> Checkpoints:
        """Where training is saved: one checkpoint is kept for each frame of the animation."""
        steps, frames = self.config.steps, self.config.frames
        # Early training changes most: the frames stand at squares.
        return self._checkpoints({round(steps * ((frame + 1) / frames) ** 2) for frame in range(frames)} - {0})

    @cached_property
    def model(self) -> Pushforward:
        return self._flow_at(self.checkpoints.steps()[-1])

    @cached_property
    def snapshots(self) -> list[tuple[int, Pushforward]]:
        """The best restart along training: `(steps done, flow)`."""
        return [(step, self._flow_at(step)) for step in self.checkpoints.steps()]

    @cached_property
    def _template(self) -> Pushforward:
        # A function of the user's is not imported: its dimension is known, and it may be elsewhere by now.
        dim = self.config.dim if is_path(self.config.target) else None
        return make_fit_ensemble(self.config, self.target.dim if dim is None else dim)

    def _flow_at(self, step: int) -> Pushforward:
        return member(restore_models(self.checkpoints, step, self._template), self.result["best_restart"])


@dataclass(frozen=True)
class DataRun(Run):
    """A model trained on data."""

    @cached_property
    def dataset(self) -> Dataset:
        """The data, divided as they were for training.

        Raises:
            UserError: they cannot be read.
        """
        config = self.config
        size, options = getattr(config, "size", None), _options(config)
        fractions = {"validation": config.validation, "test": config.test}
        return data.load(config.data, seed=config.seed, size=size, options=options, **fractions)

    def check_data(self) -> None:
        """Refuse data that are not those the run was started with.

        Raises:
            UserError: they cannot be read, or have changed.
        """
        if _fingerprint(self.dataset) != self._described:
            raise UserError(f"{self.config.data} has changed since {self.folder} was started")

    @cached_property
    def _described(self) -> dict[str, Any]:
        described: dict[str, Any] = json.loads((self.folder / DATA).read_text())
        return described

    @abstractmethod
    def _template(self, described: Mapping[str, Any]) -> Any:
        """The untrained ensemble for data of which `data.json` says this."""

    def prepare(self) -> dict[str, Any]:
        described = _fingerprint(self.dataset)
        eqx.filter_eval_shape(lambda: self._template(described))
        return described

    @property
    def checkpoints(self) -> Checkpoints:
        return self._checkpoints()

    @cached_property
    def model(self) -> Any:
        template = self._template(self._described)
        checkpoints = self.checkpoints
        models = restore_models(checkpoints, checkpoints.steps()[-1], template, best=True)
        return member(models, self.result["best_restart"])


@dataclass(frozen=True)
class TrainRun(DataRun):
    """A flow trained on data."""

    config: TrainConfig

    def settled(self) -> TrainConfig:
        return suited(self.config, self.dataset)

    def _template(self, described: Mapping[str, Any]) -> Pushforward | Dequantized:
        logged = tuple(column in self.config.log for column in described["columns"])
        return make_train_ensemble(self.config, tuple(described["shape"]), described["levels"], logged)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of a table."""
        return tuple(self._described["columns"])


@dataclass(frozen=True)
class DlgmRun(DataRun):
    """A deep latent Gaussian model trained on images."""

    config: DlgmConfig

    def _template(self, described: Mapping[str, Any]) -> DLGM:
        return make_dlgm_ensemble(self.config, tuple(described["shape"]), described["levels"])

    @cached_property
    def observation(self) -> Observation:
        """What the images become."""
        return make_observation(self.config, self.dataset.levels)

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.folder / CHECKPOINTS, every_seconds=60.0)

    @cached_property
    def test_observations(self) -> Float[jax.Array, "n D"]:
        """The test set as the model sees it; what is random in it is drawn once, by the seed of the run."""
        images = self.dataset.test.reshape(len(self.dataset.test), -1)
        return self.observation(jnp.asarray(images), jax.random.fold_in(jax.random.key(self.config.seed), 4))

    def write_points(self, name: str, **values: np.ndarray) -> None:
        """Write numbers of each test image, so that estimators can be compared image by image."""
        folder = self.folder / POINTS
        folder.mkdir(exist_ok=True)
        partial = folder / f"{name}.partial.npz"
        arrays: dict[str, Any] = {name: np.asarray(value, np.float64) for name, value in values.items()}
        np.savez_compressed(partial, **arrays)
        partial.replace(folder / f"{name}.npz")

    def points(self, name: str) -> dict[str, np.ndarray]:
        """What `write_points` wrote under this name."""
        with np.load(self.folder / POINTS / f"{name}.npz") as file:
            return dict(file)

    @property
    def flow(self) -> Distribution:
        raise UserError(
            f"{self.folder} is of a deep latent Gaussian model, whose density cannot be evaluated exactly; "
            "pushforward.open_run gives its model"
        )


RUNS: dict[type[Any], type[Any]] = {FitConfig: FitRun, TrainConfig: TrainRun, DlgmConfig: DlgmRun}


def _run(folder: Path, config: RunConfig) -> FitRun | TrainRun | DlgmRun:
    run: FitRun | TrainRun | DlgmRun = RUNS[type(config)](folder, config)
    return run


def settled(config: RunConfig) -> RunConfig:
    """The settings of a run, with those that are left open chosen by the data.

    Raises:
        UserError: the data cannot be read.
    """
    chosen: RunConfig = _run(Path(), config).settled()
    return chosen


def start_run(config: RunConfig, folder: Path | None, force: bool) -> FitRun | TrainRun | DlgmRun:
    """A new run in `folder`, by default a fresh one under `runs/`.

    Raises:
        UserError: the settings cannot work; or the folder holds a run and `force` is not given, holds something else,
            or cannot be written. Nothing is written then.
    """
    config.check()
    config = settled(config)
    if folder is None:
        folder = _fresh_folder(Path("runs"), config.folder_name)
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder} is a file")
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / CONFIG).is_file():
            raise UserError(f"{folder} is not empty and holds no run; choose another --out")
        if not force:
            raise UserError(f"{folder} holds another run; choose another --out, or overwrite it with --force")
    run = _run(folder, config)
    described = run.prepare()
    try:
        for part in PARTS:
            path = folder / part
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / METRICS).touch()
        if described is not None:
            (folder / DATA).write_text(json.dumps(described, indent=2) + "\n")
        (folder / CONFIG).write_text(to_yaml(config))
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror or error}") from error
    return run


def open_run(folder: str | Path) -> FitRun | TrainRun | DlgmRun:
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


def load(folder: str | Path) -> Distribution:
    """The trained flow of a finished run, as a density; of images in [0, 1].

    Raises:
        UserError: the folder holds no finished run.

    Example:
        >>> flow = pushforward.load("runs/u4")
        >>> x, log_prob = flow.sample_and_log_prob(jax.random.key(0), (1000,))
    """
    return open_run(folder).flow


def _options(config: TrainConfig | DlgmConfig) -> data.TableOptions | None:
    return config.table_options(config.base == "student-t") if isinstance(config, TrainConfig) else None


def _fingerprint(dataset: Dataset) -> dict[str, Any]:
    digest = hashlib.sha256()
    for part in (dataset.train, dataset.validation, dataset.test):
        digest.update(np.ascontiguousarray(part).tobytes())
    return {
        "name": dataset.name,
        "shape": list(dataset.shape),
        "levels": dataset.levels,
        "columns": list(dataset.columns),
        "rows": {"train": len(dataset.train), "validation": len(dataset.validation), "test": len(dataset.test)},
        "sha256": digest.hexdigest(),
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


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
