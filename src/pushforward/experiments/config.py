"""What the settings of all kinds of runs share. Light to import: `--help` needs nothing else."""

import shlex
from abc import abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import tyro
import yaml

from pushforward.errors import UserError
from pushforward.experiments import registry
from pushforward.experiments.families import FAMILIES, NONE, SETTINGS, Family, flag, given, settings_of

TrackerName = Literal["csv", "tensorboard", "wandb", "trackio"]
"""Programs that records of training go to: see `tracking`."""

FlowName = Annotated[str, tyro.conf.arg(aliases=("--flow.name",))]
Config = TypeVar("Config", bound="FlowConfig")
FlowLength = Annotated[int, tyro.conf.arg(aliases=("--flow.length",))]


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """The flow of an experiment.

    The settings follow the flow: with `dataclasses.replace(config, flow=...)` those that are not defaults are kept.

    Raises:
        UserError: `settings` are of another family, and one of them is neither its default nor known to this flow.

    Example:
        >>> FitConfig(target="u1", flow="real_nvp", length=8, settings=families.Affine(width=32))
    """

    flow: FlowName
    """family of the layers, of those that `pushforward list` shows"""

    length: FlowLength
    """layers, K; 0 leaves the base alone"""

    settings: tyro.conf.OmitArgPrefixes[Family] = NONE

    def __post_init__(self) -> None:
        family = FAMILIES.get(self.flow)
        if family is not None and type(self.settings) is not family:
            object.__setattr__(self, "settings", settings_of(self.flow, given(self.settings)))

    def with_flow(self: Config, flow: str) -> Config:
        """The same with another flow, whose settings are those given here that it knows."""
        family = FAMILIES.get(flow, Family)
        known = {f.name for f in fields(family)}
        kept = {name: value for name, value in given(self.settings).items() if name in known}
        return replace(self, flow=flow, settings=family(**kept))

    def check_flow(self) -> None:
        """Refuse settings of the flow that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        check_least(self, length=0)
        check_least(self.settings, rank=1, width=1, depth=0, bins=2, units=1, levels=1)
        check_positive(self.settings, "scale", "bound", "tolerance")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """The settings of a run of any kind."""

    KIND: ClassVar[str]
    COMMAND: ClassVar[str]
    SUBJECT: ClassVar[str]

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range, or two contradict each other.
        """

    @property
    @abstractmethod
    def title(self) -> str:
        """What the run is called while it is trained."""

    @property
    @abstractmethod
    def folder_name(self) -> str:
        """What the run's folder is called unless the user says."""

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the preset's."""
        subject = getattr(self, self.SUBJECT)
        default = registry.kind(self.KIND).presets.get(subject, type(self)())
        words = changed_flags(self, default, {self.SUBJECT})
        return shlex.join(["pushforward", self.COMMAND, subject, *words])


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(RunConfig):
    """The settings of a run whose model is trained for a number of steps."""

    steps: int = 10_000
    """updates"""

    batch_size: int = 256
    """draws or rows per update"""

    accumulate: int = 1
    """parts of a batch, taken one after another, for batches that do not fit into memory at once"""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """how the learning rate falls to 0"""

    gradient_clip: float = 10.0
    """largest global norm of a gradient; 0 for none"""

    seed: int = 0
    """of every random number"""

    def check(self) -> None:
        super().check()
        check_least(self, steps=1, batch_size=1, accumulate=1, gradient_clip=0, seed=0)
        if self.batch_size % self.accumulate:
            raise UserError(f"--batch-size {self.batch_size} cannot be divided into {self.accumulate} equal parts")

    @property
    def at_once(self) -> int:
        """Draws or rows of a part of a batch."""
        return self.batch_size // self.accumulate


def check_least(config: Any, **bounds: float) -> None:
    """Refuse settings that are less than these bounds; one that is None, or that `config` lacks, is not given.

    Raises:
        UserError: one is.
    """
    for name, bound in bounds.items():
        values = getattr(config, name, None)
        for value in values if isinstance(values, tuple) else (values,):
            if value is not None and not value >= bound:
                raise UserError(f"{flag(name)} must be {bound} or more, got {value}")


def check_positive(config: Any, *names: str) -> None:
    """Refuse settings that are not positive and finite; one that is None, or that `config` lacks, is not given.

    Raises:
        UserError: one is not.
    """
    for name in names:
        if (value := getattr(config, name, None)) is not None:
            check_positive_values(**{name: value})


def check_positive_values(**values: float) -> None:
    """Refuse values of flags that are not positive and finite.

    Raises:
        UserError: one is not.
    """
    for name, value in values.items():
        if not 0 < value < float("inf"):
            raise UserError(f"{flag(name)} must be positive and finite, got {value}")


def check_decay(average_decay: float | None) -> None:
    """Refuse the decay of an average that is none.

    Raises:
        UserError: it is not in [0, 1).
    """
    if average_decay is not None and not 0 <= average_decay < 1:
        raise UserError(f"--average-decay must be 0 or more and less than 1, got {average_decay}")


def values_of(config: Any) -> dict[str, Any]:
    """Every setting by name, those of the flow's family among the others, as a `config.yaml` has them."""
    values: dict[str, Any] = {}
    for f in fields(config):
        value = getattr(config, f.name)
        values |= asdict(value) if isinstance(value, Family) else {f.name: value}
    return values


def changed_flags(config: Any, default: Any, leave_out: set[str]) -> list[str]:
    """The words of a command line that make `config` of `default`."""
    words = []
    before = values_of(default.with_flow(config.flow) if isinstance(config, FlowConfig) else default)
    if isinstance(config, FlowConfig):
        before["flow"] = default.flow
    for name, value in values_of(config).items():
        if name in leave_out or value == before[name]:
            continue
        if isinstance(value, bool):
            words.append(flag(name) if value else flag(f"no_{name}"))
        else:
            words += [flag(name), *map(str, value if isinstance(value, tuple) else (value,))]
    return words


def to_yaml(config: RunConfig) -> str:
    """The configuration as the text of a `config.yaml`."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in values_of(config).items()}
    return yaml.safe_dump({"experiment": config.KIND, **values}, sort_keys=False)


def from_yaml(text: str, where: str) -> Any:
    """The configuration in the text of a `config.yaml`.

    Versions before wrote the settings of all families, those that were not given as null.

    Raises:
        UserError: it is not one.
    """
    try:
        values = yaml.safe_load(text)
        kind = values.pop("experiment")
        config_type = registry.kind(str(kind), where).config
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        if issubclass(config_type, FlowConfig):
            of_flow = {name: value for name in SETTINGS if (value := settings.pop(name, None)) is not None}
            settings["settings"] = settings_of(settings["flow"], of_flow)
        return config_type(**settings)
    except (yaml.YAMLError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{where} is not the configuration of a run: {str(error).splitlines()[0]}") from error
