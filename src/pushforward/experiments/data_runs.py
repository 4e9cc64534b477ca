"""Runs whose models are trained on data."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import equinox as eqx
import numpy as np

from pushforward import data
from pushforward.data import Dataset
from pushforward.errors import UserError
from pushforward.experiments.runs import DATA, Run
from pushforward.training import Checkpoints, member, restore_models


@dataclass(frozen=True)
class DataRun(Run):
    """A model trained on data."""

    @cached_property
    def dataset(self) -> Dataset:
        """The data, divided as they were for training.

        Raises:
            UserError: they cannot be read.
        """
        return self._load()

    def _load(self, **options: Any) -> Dataset:
        config = self.config
        fractions = {"validation": config.validation, "test": config.test}
        path = Path(config.data)
        if not path.is_file():
            return data.load(config.data, seed=config.seed, **fractions, **options)
        stamp = path.stat().st_size, path.stat().st_mtime_ns
        return _loaded(config.data, stamp, seed=config.seed, **fractions, **options)

    def check_data(self) -> None:
        """Refuse data that are not those the run was started with.

        Raises:
            UserError: they cannot be read, or have changed.
        """
        if _fingerprint(self.dataset) != self._described:
            raise UserError(f"{self.config.data} has changed since {self.folder} was started")

    @cached_property
    def _described(self) -> dict[str, Any]:
        return json.loads((self.folder / DATA).read_text())

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
        template = eqx.filter_eval_shape(lambda: self._template(self._described))
        checkpoints = self.checkpoints
        models = restore_models(checkpoints, checkpoints.steps()[-1], template, best=True)
        return member(models, self.result["best_restart"])


@lru_cache(maxsize=1)
def _loaded(source: str, stamp: tuple[int, int], **options: Any) -> Dataset:
    """The data of a file of this size and time of change, kept until others are read.

    The settings of a run are chosen, checked and trained by objects of their own, each with its data.
    """
    dataset = data.load(source, **options)
    for part in _parts(dataset):
        part.flags.writeable = False
    return dataset


def _parts(dataset: Dataset) -> tuple[np.ndarray, ...]:
    given = dataset.given
    contexts = () if given is None else (given.train, given.validation, given.test)
    return dataset.train, dataset.validation, dataset.test, *contexts


def _fingerprint(dataset: Dataset) -> dict[str, Any]:
    digest = hashlib.sha256()
    given = dataset.given
    for part in _parts(dataset):
        digest.update(np.ascontiguousarray(part))
    digest.update(dataset.digest.encode())
    described: dict[str, Any] = {
        "name": dataset.name,
        "shape": list(dataset.shape),
        "levels": dataset.levels,
        "columns": list(dataset.columns),
        "rows": dict(zip(("train", "validation", "test"), dataset.rows)),
        "sha256": digest.hexdigest(),
    }
    if given is not None:
        described["given"] = {"columns": list(given.columns), "categories": [list(each) for each in given.categories]}
    return described
