"""The kinds of runs by name. Each is imported when it is used: this module knows none of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from pushforward.errors import UserError, nearest

KINDS: dict[str, str] = {
    "fit": "pushforward.experiments.fit",
    "train": "pushforward.experiments.train",
    "conditional": "pushforward.experiments.conditional",
    "dlgm": "pushforward.experiments.dlgm",
    "posterior": "pushforward.experiments.posterior",
    "infer": "pushforward.experiments.infer",
}
"""Each kind, as `config.yaml` names it, with the package that holds its `KIND`."""


@dataclass(frozen=True)
class Measure:
    """A number of a result that runs are compared by.

    Attributes:
        label: what it is called.
        name: in the result; of one inside another, both, with a dot between.
        error: name of its standard error, where it has one.
        better: whether the lowest or the highest is best, or nothing is.
        share: whether it is shown as a percentage.
    """

    label: str
    name: str
    error: str | None = None
    better: Literal["lowest", "highest"] | None = None
    share: bool = False

    def of(self, result: Mapping[str, Any]) -> tuple[float | None, float | None]:
        """The number in a result, and its standard error."""
        return _inside(result, self.name), None if self.error is None else _inside(result, self.error)


@dataclass(frozen=True)
class Kind:
    """What a kind of run consists of. What takes long to import is given as `module:name`.

    Attributes:
        config: the type of its settings, a subclass of `RunConfig`.
        run: its subclass of `Run`.
        train: the function that trains and judges a run, and writes its result.
        report: the function that writes the figures and the page of a finished run, and returns the path of the page.
        show: the function that prints the numbers of a finished run, given the path of its page.
        presets: named settings of it.
        summaries: of each of them a line, that `pushforward list` shows.
        measures: what its runs are compared by, the most telling first.
        files: names of those in a run's folder that only this kind writes.
    """

    config: type[Any]
    run: str
    train: str
    report: str
    show: str
    presets: Mapping[str, Any]
    summaries: Mapping[str, str]
    measures: tuple[Measure, ...]
    files: tuple[str, ...] = ()


def kind(name: str, where: str = "this configuration") -> Kind:
    """The kind of this name.

    Raises:
        UserError: there is none; the message says that `where` is of it.
    """
    if name not in KINDS:
        raise UserError(f"{where} is of an unknown experiment {name!r}{nearest(name, KINDS)}")
    return import_module(KINDS[name]).KIND


def presets(command: str) -> dict[str, Any]:
    """The presets of all kinds that a command of `pushforward` trains."""
    kinds = [kind(name) for name in KINDS]
    return {name: config for each in kinds if command == each.config.COMMAND for name, config in each.presets.items()}


def resolve(path: str) -> Any:
    """What `module:name` stands for."""
    module, name = path.split(":")
    return getattr(import_module(module), name)


def _inside(result: Mapping[str, Any], name: str) -> float | None:
    value: Any = result
    for part in name.split("."):
        value = None if value is None else value.get(part)
    return value
