"""A sweep: the runs of a grid, trained here or on a Ray cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from pushforward.errors import UserError
from pushforward.experiments.cluster import Cluster
from pushforward.experiments.config import RunConfig, values_of
from pushforward.experiments.registry import Measure, kind
from pushforward.experiments.runs import CONFIG, Run, check_run, open_run
from pushforward.experiments.storage import is_address
from pushforward.experiments.work import carry_out
from pushforward.sweeps.grid import FLOW, Axes, runs_of
from pushforward.sweeps.places import RUNS, Elsewhere, Folder, Place


@dataclass(frozen=True)
class Swept:
    """A run of a sweep.

    Attributes:
        name: of its folder.
        varied: its values of the settings that vary, as words.
        run: the run; None before it was started.
        complaint: why it failed, where it did.
    """

    name: str
    varied: Mapping[str, str]
    run: Run | None
    complaint: str | None = None

    @property
    def result(self) -> Mapping[str, Any]:
        """What was measured; nothing of a run that is not finished."""
        return self.run.result if self.run is not None and self.run.finished else {}


@dataclass(frozen=True)
class Sweep:
    """The runs of a grid of settings.

    Attributes:
        place: where they are.
        config: the settings that they share.
        axes: those that vary, with the words of their values.
    """

    place: Place
    config: RunConfig
    axes: Axes

    @cached_property
    def configs(self) -> dict[str, RunConfig]:
        """The settings of each run by the name of its folder."""
        return runs_of(self.config, self.axes)

    @property
    def measures(self) -> Sequence[Measure]:
        """What its runs are compared by."""
        return kind(self.config.KIND).measures

    def train(self, cluster: Cluster | None = None) -> list[Swept]:
        """Train the runs that are not finished, each from its newest checkpoint.

        Args:
            cluster: a Ray cluster whose machines see the place; in this process, one run after another, unless given.

        Raises:
            UserError: another process trains the sweep, or the cluster cannot be used.
        """
        with self.place.held():
            finished = self.place.finished(self.configs)
            pieces = [self.place.piece(name, each) for name, each in self.configs.items() if name not in finished]
            failed = carry_out(self.place.name, pieces, cluster)
            self.place.gather(self.configs)
        return [self._swept(name, failed.get(name)) for name in self.configs]

    def _swept(self, name: str, complaint: str | None) -> Swept:
        folder, values = self.place.folder / RUNS / name, values_of(self.configs[name])
        run = open_run(folder) if (folder / CONFIG).is_file() else None
        return Swept(name, {axis: str(values[axis]) for axis in self.axes}, run, complaint)


def open_sweep(config: RunConfig, axes: Axes, where: str | None) -> Sweep:
    """The sweep in a folder, made unless it is there.

    Args:
        config: the settings that its runs share.
        axes: those that vary.
        where: a folder, or the address of one that fsspec knows, as `s3://bucket/sweep`; `runs/sweep-NAME` unless
            given.

    Raises:
        UserError: the settings of a run cannot work, or the folder holds another sweep or something else, or cannot be
            used.
    """
    where = where or str(Path("runs") / f"sweep-{config.folder_name}")
    place: Place = Elsewhere.at(where) if is_address(where) else Folder(Path(where))
    sweep = Sweep(place, config, axes)
    values = {"experiment": config.KIND, **values_of(config), "over": {name: list(of) for name, of in axes.items()}}
    plain = {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}
    text = yaml.safe_dump(plain, sort_keys=False)
    configs = sweep.configs
    if (described := place.described()) is None:
        for each in {getattr(each, FLOW, None): each for each in reversed(configs.values())}.values():
            check_run(each)
        place.describe(text)
    elif described != text:
        raise UserError(f"{where} holds another sweep; choose another --out")
    return sweep
