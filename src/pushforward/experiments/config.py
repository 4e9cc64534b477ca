"""What the settings of all kinds of runs share. Light to import: `--help` needs nothing else."""

import shlex
from abc import abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any, ClassVar, Literal

import tyro
import yaml

from pushforward.errors import UserError
from pushforward.experiments import registry

FlowName = Annotated[str, tyro.conf.arg(aliases=("--flow.name",))]
FlowLength = Annotated[int, tyro.conf.arg(aliases=("--flow.length",))]


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """The flow of an experiment; a setting that its family does not have is refused."""

    flow: FlowName
    """family of the layers, of those that `pushforward list` shows"""

    length: FlowLength
    """layers, K; 0 leaves the base alone"""

    initialisation: Literal["xavier", "plain"] | None = None
    """planar: how the layers start"""

    orthogonal: Literal["orthogonal", "householder", "triangular"] | None = None
    """sylvester: what its orthogonal matrices are"""

    rank: int | None = None
    """sylvester: width of a layer; as wide as the data unless given"""

    mixing: Literal["permutation", "reverse", "rotation", "householder", "lu"] | None = None
    """coupling and autoregressive layers: what follows each"""

    width: int | None = None
    """families with networks: hidden units or channels of each"""

    depth: int | None = None
    """families with networks: hidden layers of each"""

    scale: float | None = None
    """affine layers: largest log scale at the start"""

    bins: int | None = None
    """splines: bins of each"""

    bound: float | None = None
    """splines: where their linear tails begin"""

    units: int | None = None
    """neural_autoregressive: sigmoids in each mixture"""

    coefficient: float | None = None
    """residual: Lipschitz constant of each network"""

    tolerance: float | None = None
    """continuous: of the solver"""

    exact: bool | None = None
    """residual and continuous: exact log-determinants or unbiased estimates"""

    levels: int | None = None
    """glow: how often the image is halved"""

    def options(self) -> dict[str, Any]:
        """The settings of the family that are given, by name."""
        return {name: getattr(self, name) for name in flow_options() if getattr(self, name) is not None}

    def check_flow(self) -> None:
        """Refuse settings of the flow that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        check_least(self, length=0, rank=1, width=1, depth=0, bins=2, units=1, levels=1)
        check_positive(self, "scale", "bound", "tolerance")


def flow_options() -> list[str]:
    """Names of the settings that only some families have."""
    return [f.name for f in fields(FlowConfig) if f.name not in ("flow", "length")]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """The settings of a run of any kind, and how its model is trained."""

    KIND: ClassVar[str]
    COMMAND: ClassVar[str]
    SUBJECT: ClassVar[str]

    steps: int = 10_000
    """updates"""

    batch_size: int = 256
    """draws or rows per update"""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """how the learning rate falls to 0"""

    gradient_clip: float = 10.0
    """largest global norm of a gradient; 0 for none"""

    seed: int = 0
    """of every random number"""

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range, or two contradict each other.
        """
        check_least(self, steps=1, batch_size=1, gradient_clip=0, seed=0)

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


def flag(name: str) -> str:
    """The command-line flag of a field."""
    return "--" + name.replace("_", "-")


def check_least(config: Any, **bounds: float) -> None:
    """Refuse settings that are less than these bounds; a setting that is None is not given.

    Raises:
        UserError: one is.
    """
    for name, bound in bounds.items():
        values = getattr(config, name)
        for value in values if isinstance(values, tuple) else (values,):
            if value is not None and not value >= bound:
                raise UserError(f"{flag(name)} must be {bound} or more, got {value}")


def check_positive(config: Any, *names: str) -> None:
    """Refuse settings that are not positive and finite; a setting that is None is not given.

    Raises:
        UserError: one is not.
    """
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"{flag(name)} must be positive and finite, got {value}")


def check_decay(average_decay: float | None) -> None:
    """Refuse the decay of an average that is none.

    Raises:
        UserError: it is not in [0, 1).
    """
    if average_decay is not None and not 0 <= average_decay < 1:
        raise UserError(f"--average-decay must be 0 or more and less than 1, got {average_decay}")


def changed_flags(config: Any, default: Any, leave_out: set[str]) -> list[str]:
    """The words of a command line that make `config` of `default`."""
    words = []
    for f in fields(config):
        value = getattr(config, f.name)
        if f.name in leave_out or value == getattr(default, f.name):
            continue
        if isinstance(value, bool):
            words.append(flag(f.name) if value else flag(f"no_{f.name}"))
        else:
            words += [flag(f.name), *map(str, value if isinstance(value, tuple) else (value,))]
    return words


def to_yaml(config: TrainingConfig) -> str:
    """The configuration as the text of a `config.yaml`."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}
    return yaml.safe_dump({"experiment": config.KIND, **values}, sort_keys=False)


def from_yaml(text: str, where: str) -> Any:
    """The configuration in the text of a `config.yaml`.

    Raises:
        UserError: it is not one.
    """
    try:
        values = yaml.safe_load(text)
        kind = values.pop("experiment")
        config_type = registry.kind(str(kind), where).config
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return config_type(**settings)
    except (yaml.YAMLError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{where} is not the configuration of a run: {str(error).splitlines()[0]}") from error
