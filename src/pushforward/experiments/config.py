"""The settings of every kind of experiment. Light to import: `--help` needs nothing else."""

import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Literal

import tyro
import yaml

from pushforward.errors import UserError, nearest


@dataclass(frozen=True, kw_only=True)
class FlowConfig:
    """The flow of an experiment; a setting that its family does not have is refused."""

    flow: str
    """family of the layers, of those that `pushforward list` shows"""

    length: int
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


def flow_options() -> list[str]:
    """Names of the settings that only some families have."""
    return [f.name for f in fields(FlowConfig) if f.name not in ("flow", "length")]


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How a model is trained."""

    steps: int = 10_000
    """updates"""

    batch_size: int = 256
    """draws or rows per update"""

    learning_rate: float = 1e-2
    """of Adam, at the start of the schedule"""

    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    """how the learning rate falls to 0"""

    gradient_clip: float = 10.0
    """largest global norm of a gradient; 0 for none"""

    seed: int = 0
    """of every random number"""


@dataclass(frozen=True, kw_only=True)
class FitConfig(FlowConfig, TrainingConfig):
    """A flow fitted to a density by minimising the free energy."""

    KIND: ClassVar[str] = "fit"

    target: tyro.conf.Positional[str] = ""
    """a name that `pushforward list` shows, or module:function for an unnormalised log density of your own"""

    flow: str = "planar"
    """family of the layers, of those that `pushforward list` shows"""

    length: int = 16
    """layers, K; 0 fits the base alone"""

    dim: int | None = None
    """dimensions; 2 unless given, and required for module:function"""

    base: Literal["trained", "standard"] = "trained"
    """N(mu, diag(sigma)^2) with mu and sigma trained, or N(0, I)"""

    restarts: int = 8
    """independent starts, trained side by side; the best is kept"""

    gradient: Literal["reparameterised", "stick-the-landing"] = "reparameterised"
    """estimator of the gradient"""

    annealing_steps: int = 0
    """steps over which the target's inverse temperature rises from 0.01 to 1; 0 for none"""

    log_z: float | None = None
    """module:function only: its log normaliser, where you know it"""

    samples: int = 2**17
    """draws that the fit is judged by"""

    frames: int = 40
    """pictures in the animation of training; 0 for none"""

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        _check_ranges(self, {"dim": 1, "restarts": 1, "annealing_steps": 0, "samples": 1000, "frames": 0})
        if not self.target:
            raise UserError("give a target: a name that `pushforward list` shows, or module:function")

    @property
    def title(self) -> str:
        """What the run is called while it is trained."""
        return f"{self.target} · {self.flow} · K = {self.length}"

    @property
    def folder_name(self) -> str:
        """What the run's folder is called unless the user says."""
        return f"{self.target.replace(':', '-')}-{self.flow}-{self.length}"

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        return shlex.join(["pushforward", "fit", self.target, *_flags(self, FitConfig(), {"target"})])


@dataclass(frozen=True, kw_only=True)
class TrainConfig(FlowConfig, TrainingConfig):
    """A flow trained on data by maximum likelihood."""

    KIND: ClassVar[str] = "train"

    data: tyro.conf.Positional[str] = ""
    """a data set or preset that `pushforward list` shows, or a .csv, .tsv, .npy, .npz or .parquet file"""

    flow: str = "nsf_autoregressive"
    """family of the layers, of those that `pushforward list` shows"""

    length: int = 5
    """layers, K; of glow: steps of each level"""

    base: Literal["normal", "trained-normal", "student-t", "families"] = "normal"
    """N(0, I), N(mu, diag(sigma)^2), Student-t with trained tails, or a trained mixture of families"""

    steps: int = 10_000
    """updates at most"""

    learning_rate: float = 1e-3
    """of Adam, at the start of the schedule"""

    restarts: int = 1
    """independent starts, trained side by side; the best by validation is kept"""

    validation: float = 0.1
    """fraction of the rows that choose the step; of the training set, where there is an official test set"""

    test: float = 0.1
    """fraction of the rows that judge the result, where there is no official test set"""

    size: int | None = None
    """rows to draw of a known density; only for those"""

    validate_every: int = 100
    """steps between two validations"""

    patience: int = 3_000
    """steps without a better validation after which training stops; 0 for never"""

    dequantization: Literal["uniform", "variational"] = "uniform"
    """images: the noise that makes grey levels continuous"""

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        _check_ranges(self, {"restarts": 1, "validate_every": 1, "patience": 0})
        if not self.data:
            raise UserError("give data: a data set or preset that `pushforward list` shows, or a file")

    @property
    def title(self) -> str:
        """What the run is called while it is trained."""
        return f"{Path(self.data).name} · {self.flow} · K = {self.length}"

    @property
    def folder_name(self) -> str:
        """What the run's folder is called unless the user says."""
        return f"{Path(self.data).stem}-{self.flow}-{self.length}"

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        return shlex.join(["pushforward", "train", self.data, *_flags(self, TrainConfig(), {"data"})])


RunConfig = FitConfig | TrainConfig
KINDS: dict[str, type[FitConfig] | type[TrainConfig]] = {kind.KIND: kind for kind in (FitConfig, TrainConfig)}


@dataclass(frozen=True)
class StudyConfig:
    """A study: a table and a figure made of many fits."""

    study: tyro.conf.Positional[str]
    """a name that `pushforward list` shows"""

    out: Path | None = None
    """folder of the study; runs/STUDY unless given"""

    results: Path | None = None
    """another folder for its table and figure"""

    targets: tuple[str, ...] = ("u1", "u2", "u3", "u4")
    """rows of the figure"""

    flows: tuple[str, ...] = ("planar", "radial", "nice")
    """families beside each other"""

    lengths: tuple[int, ...] = (2, 8, 32)
    """layers, K"""

    restarts: int = 8
    """independent starts of each cell; the best is kept"""

    steps: int = 20_000
    """updates of each cell"""

    seed: int = 0
    """of every random number"""

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        words = _flags(self, StudyConfig(self.study), {"study", "out", "results"})
        return shlex.join(["pushforward", "reproduce", self.study, *words])


def flag(name: str) -> str:
    """The command-line flag of a field."""
    return "--" + name.replace("_", "-")


def _check_ranges(config: RunConfig, more: dict[str, int]) -> None:
    least = {"length": 0, "steps": 1, "batch_size": 1, "gradient_clip": 0, "seed": 0}
    least |= {"rank": 1, "width": 1, "depth": 0, "bins": 2, "units": 1, "levels": 1}
    for name, bound in (least | more).items():
        value = getattr(config, name)
        if value is not None and not value >= bound:
            raise UserError(f"{flag(name)} must be {bound} or more, got {value}")
    for name in ("learning_rate", "scale", "bound", "tolerance"):
        value = getattr(config, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"{flag(name)} must be positive and finite, got {value}")


def _flags(config: RunConfig | StudyConfig, default: RunConfig | StudyConfig, leave_out: set[str]) -> list[str]:
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


def to_yaml(config: RunConfig) -> str:
    """The configuration as the text of a `config.yaml`."""
    return yaml.safe_dump({"experiment": config.KIND, **asdict(config)}, sort_keys=False)


def from_yaml(text: str, where: str) -> RunConfig:
    """The configuration in the text of a `config.yaml`.

    Raises:
        UserError: it is not one.
    """
    try:
        values = yaml.safe_load(text)
        kind = values.pop("experiment")
        if kind not in KINDS:
            raise UserError(f"{where} is of an unknown experiment {kind!r}{nearest(str(kind), KINDS)}")
        return KINDS[kind](**values)
    except (yaml.YAMLError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{where} is not the configuration of a run: {str(error).splitlines()[0]}") from error
