"""The settings of every kind of experiment. Light to import: `--help` needs nothing else."""

import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeVar

import tyro
import yaml

from pushforward.errors import UserError, nearest

if TYPE_CHECKING:
    from pushforward.data import TableOptions

AUTO = "auto"

Value = TypeVar("Value")
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
    COMMAND: ClassVar[str] = "fit"

    target: tyro.conf.Positional[str] = ""
    """a name that `pushforward list` shows, or module:function for an unnormalised log density of your own"""

    flow: FlowName = "planar"
    """family of the layers, of those that `pushforward list` shows"""

    length: FlowLength = 16
    """layers, K; 0 fits the base alone"""

    dim: int | None = None
    """dimensions; 2 unless given, and required for module:function"""

    base: Literal["trained", "standard"] = "trained"
    """N(mu, diag(sigma)^2) with mu and sigma trained, or N(0, I)"""

    learning_rate: float = 1e-2
    """of Adam, at the start of the schedule"""

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
        return shlex.join(["pushforward", "fit", self.target, *changed_flags(self, FitConfig(), {"target"})])


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """What of a file is used, and how it is read."""

    columns: tuple[str, ...] = ()
    """names of the columns of a file to use; all unless given"""

    drop: tuple[str, ...] = ()
    """names of the columns of a file to leave out"""

    drop_rows: tuple[int, ...] = ()
    """rows of a file to leave out, numbered from 1 below the line of names"""

    log: tuple[str, ...] = ()
    """positive columns of a file of which the flow learns the logarithm; densities stay those of the file's numbers"""

    allow_degenerate: bool = False
    """go on where columns determine each other, or there are no more rows than columns"""

    delimiter: str | None = None
    """of a text file: a character, or comma, semicolon, tab, space, bar; by its suffix unless given"""

    header: Literal["auto", "yes", "no"] = "auto"
    """of a text file: whether its first line holds names; judged by the lines below it unless given"""

    decimal_comma: bool = False
    """of a text file: whether numbers are written as 1,5"""

    def table_options(self, heavy_tails: bool = False) -> "TableOptions":
        """What of a user's table is used, and how it is read; `heavy_tails` are expected by some bases.

        Raises:
            UserError: the delimiter cannot be one.
        """
        from pushforward.data import TableOptions, TextFormat

        names = "columns", "drop", "log", "drop_rows", "allow_degenerate"
        return TableOptions(
            **{name: getattr(self, name) for name in names},
            heavy_tails=heavy_tails,
            text=TextFormat(self.delimiter, self.header, self.decimal_comma),
        )


@dataclass(frozen=True, kw_only=True)
class CheckConfig(TableConfig):
    """A file that is looked at without training on it."""

    file: tyro.conf.Positional[Path]
    """.csv, .tsv (.gz too), .npy, .npz or .parquet"""


@dataclass(frozen=True, kw_only=True)
class TrainConfig(FlowConfig, TrainingConfig, TableConfig):
    """A flow trained on data by maximum likelihood."""

    KIND: ClassVar[str] = "train"
    COMMAND: ClassVar[str] = "train"

    data: tyro.conf.Positional[str] = ""
    """a data set or preset that `pushforward list` shows, or a .csv, .tsv (.gz too), .npy, .npz or .parquet file"""

    flow: FlowName = AUTO
    """family of the layers, of those that `pushforward list` shows; auto is nsf_autoregressive or, where a column has
    heavy tails, maf"""

    length: FlowLength = 5
    """layers, K; of glow: steps of each level"""

    base: Literal["normal", "trained-normal", "student-t", "families"] | None = None
    """N(0, I), N(mu, diag(sigma)^2), Student-t with trained tails, or a trained mixture of families; unless given,
    N(0, I) or, where a column has heavy tails, Student-t"""

    start: Literal["whitened", "standardised"] | None = None
    """of tables: where the layers start, at the Gaussian with the means and covariances of the rows, or at that without
    the covariances; the first unless given, where the rows tell them"""

    steps: int = 10_000
    """updates at most"""

    learning_rate: float | None = None
    """of Adam, at the start of the schedule; unless given 0.001, or 0.0003 where there are fewer than 200 rows a column
    of light tails"""

    restarts: int = 1
    """independent starts, trained side by side; the best by validation is kept"""

    validation: float = 0.1
    """fraction of the rows that choose the step; of the training set, where there is an official test set"""

    test: float = 0.1
    """fraction of the rows that judge the result, where there is no official test set"""

    size: int | None = None
    """rows to draw of a known density; only for those"""

    smoothing: float | None = None
    """of tables: standard deviation of Normal noise that is added to the rows in each step, in the units of the start;
    0.3 where there are fewer than 25 rows a column, else none unless given"""

    average_decay: float | None = None
    """of an exponential moving average of the parameters, which is then what is judged; 0 for none; 0.99 unless
    given"""

    validate_every: int | None = None
    """steps between two validations; 100 unless given, fewer where there are few rows"""

    patience: int | None = None
    """steps without a better validation after which training stops; 0 for never; 3,000 unless given, fewer where there
    are few rows"""

    dequantization: Literal["uniform", "variational"] = "uniform"
    """images: the noise that makes grey levels continuous"""

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        _check_ranges(self, {"restarts": 1, "validate_every": 1, "patience": 0})
        check_decay(self.average_decay)
        check_least("smoothing", self.smoothing, 0)
        self.table_options()
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
        return shlex.join(["pushforward", "train", self.data, *changed_flags(self, TrainConfig(), {"data"})])


@dataclass(frozen=True, kw_only=True)
class DlgmConfig(FlowConfig, TrainingConfig):
    """A deep latent Gaussian model of images, whose posterior is a flow of the encoder."""

    KIND: ClassVar[str] = "dlgm"
    COMMAND: ClassVar[str] = "train"

    preset: tyro.conf.Positional[str] = "dlgm-mnist"
    """where the defaults come from, one of those that `pushforward list` shows"""

    data: str = "binarized-mnist"
    """a set of images that `pushforward list` shows, or an .npy file of unsigned bytes, (n, H, W) or (n, H, W, C)"""

    binarisation: Literal["static", "dynamic", "thresholded"] | None = None
    """how pixels become 0 or 1, for a Bernoulli likelihood: they are already; drawn anew every time; or cut at half"""

    likelihood: Literal["bernoulli", "normal", "logit-normal", "categorical", "logistic"] = "bernoulli"
    """of a pixel"""

    flow: FlowName = "planar"
    """family of the layers, of those that `pushforward list` shows"""

    length: FlowLength = 0
    """layers, K; 0 is the plain model, whose posterior is Normal"""

    amortised: Literal["parameters", "context", "none"] | None = None
    """what of the flow depends on the image: every parameter, emitted by the encoder; the first layers of its networks;
    nothing, the static comparison. Unless given, the first, or of families with networks the second"""

    covariance: Literal["diagonal", "full"] = "diagonal"
    """of the Normal before the flow"""

    latents: tuple[int, ...] = (40,)
    """numbers in each stochastic layer, from the data to the top"""

    network: Literal["dense", "convolutional"] = "dense"
    """layers of the encoder and the decoder"""

    hidden: tuple[int, ...] = (400, 400)
    """units of the encoder's hidden layers, in reverse order those of each network of the decoder; of convolutions the
    channels, each of which halves the image"""

    activation: Literal["maxout", "relu", "elu", "silu", "softplus", "tanh"] = "maxout"
    """of the hidden layers"""

    pieces: int = 4
    """linear pieces of a maxout unit"""

    objective: Literal["free-energy", "iwae"] = "free-energy"
    """what is minimised: the free energy, or the importance-weighted bound"""

    draws: int = 1
    """latent vectors per image in each step"""

    gradient: Literal["reparameterised", "stick-the-landing", "doubly-reparameterised"] = "reparameterised"
    """estimator of the gradient; the second is for the free energy, the third for iwae"""

    annealed: Literal["joint", "kl"] = "joint"
    """what the annealing multiplies: log p(x, z), as Rezende & Mohamed, or the divergence from the prior"""

    annealing_steps: int = 10_000
    """steps over which the factor min(1, 0.01 + step / annealing-steps) rises to 1; 0 for none"""

    free_bits: float = 0.0
    """nats of the divergence from the prior that cost nothing"""

    steps: int = 60_000
    """updates at most"""

    batch_size: int = 100
    """images per update"""

    optimizer: Literal["adam", "rmsprop"] = "adam"
    """rmsprop with momentum 0.9 is that of Rezende & Mohamed"""

    learning_rate: float = 5e-4
    """at the start of the schedule"""

    gradient_clip: float = 200.0
    """largest global norm of a gradient; 0 for none"""

    weight_decay: float = 0.1
    """of Adam, not of RMSprop: times the learning rate, the share of each weight that a step takes away"""

    average_decay: float = 0.0
    """of an exponential moving average of the weights, which is then what is judged; 0 for none"""

    validation: float = 0.1
    """fraction of the training images that choose the step, where there is no official validation set"""

    test: float = 0.1
    """fraction of the images that judge the result, where there is no official test set"""

    validate_every: int = 1_000
    """steps between two validations"""

    patience: int = 20_000
    """steps without a better validation after which training stops; 0 for never"""

    test_draws: int = 100
    """latent vectors for each test image by which the free energy is measured"""

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range, or two contradict each other.
        """
        least = {"draws": 1, "annealing_steps": 0, "free_bits": 0, "validate_every": 1, "patience": 0, "pieces": 1}
        check_least("weight_decay", self.weight_decay, 0)
        _check_ranges(self, {**least, "test_draws": 1})
        for name in ("latents", "hidden"):
            if not all(n >= 1 for n in getattr(self, name)):
                raise UserError(f"{flag(name)} must be 1 or more, each of them")
        if not self.latents:
            raise UserError("--latents needs at least one stochastic layer")
        if self.network == "convolutional" and (len(self.latents) > 1 or not self.hidden):
            raise UserError("--network convolutional takes one stochastic layer and channels in --hidden")
        check_decay(self.average_decay)
        wrong = {"free-energy": "doubly-reparameterised", "iwae": "stick-the-landing"}[self.objective]
        if self.gradient == wrong:
            other = next(name for name in ("stick-the-landing", "doubly-reparameterised") if name != wrong)
            raise UserError(f"--gradient {wrong} does not suit --objective {self.objective}; {other} does")
        if self.objective == "iwae" and self.free_bits:
            raise UserError("--free-bits are for --objective free-energy")

    @property
    def title(self) -> str:
        """What the run is called while it is trained."""
        return f"{self.preset} · {f'{self.flow} · ' if self.length else ''}K = {self.length}"

    @property
    def folder_name(self) -> str:
        """What the run's folder is called unless the user says."""
        return f"{self.preset}-{self.flow}-{self.length}"

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the preset's."""
        from pushforward.experiments.presets import DLGM_PRESETS

        default = DLGM_PRESETS.get(self.preset, DlgmConfig())
        return shlex.join(["pushforward", "train", self.preset, *changed_flags(self, default, {"preset"})])


RunConfig = FitConfig | TrainConfig | DlgmConfig
KINDS: dict[str, type[FitConfig] | type[TrainConfig] | type[DlgmConfig]] = {
    kind.KIND: kind for kind in (FitConfig, TrainConfig, DlgmConfig)
}


@dataclass(frozen=True, kw_only=True)
class EvaluateConfig:
    """How `log p(x)` of a trained deep latent Gaussian model is estimated."""

    run: tyro.conf.Positional[Path]
    """folder of the run"""

    estimator: Literal["iwae", "ais", "bdmc"] = "iwae"
    """importance sampling from the posterior; annealed importance sampling; that forwards and in reverse on data that
    the model simulates, whose gap bounds its error"""

    points: int | None = None
    """test images, from the first on; all for iwae and 1,000 for the others unless given"""

    draws: int = 500
    """iwae: latent vectors for each image"""

    chains: int = 16
    """ais, bdmc: chains for each image"""

    temperatures: int = 1_000
    """ais, bdmc: steps of the path from the start to the joint density"""

    leapfrog_steps: int = 10
    """ais, bdmc: of each Hamiltonian trajectory"""

    schedule: Literal["sigmoidal", "linear"] = "sigmoidal"
    """ais, bdmc: spacing of the temperatures"""

    start: Literal["posterior", "prior"] = "posterior"
    """ais, bdmc: where the path begins"""

    memory: int = 1_000
    """megabytes that a batch may take"""

    seed: int = 0
    """of every random number"""

    def check(self) -> None:
        """Refuse settings that cannot work.

        Raises:
            UserError: one of them is out of its range.
        """
        for name in ("points", "draws", "chains", "leapfrog_steps", "memory"):
            check_least(name, getattr(self, name), 1)
        check_least("temperatures", self.temperatures, 2)
        check_least("seed", self.seed, 0)

    def command(self) -> str:
        """The command that this configuration comes from, with every setting that is not the default."""
        words = changed_flags(self, EvaluateConfig(run=self.run), {"run"})
        return shlex.join(["pushforward", "evaluate", str(self.run), *words])


def flag(name: str) -> str:
    """The command-line flag of a field."""
    return "--" + name.replace("_", "-")


def _check_ranges(config: RunConfig, more: dict[str, int]) -> None:
    least = {"length": 0, "steps": 1, "batch_size": 1, "gradient_clip": 0, "seed": 0}
    least |= {"rank": 1, "width": 1, "depth": 0, "bins": 2, "units": 1, "levels": 1}
    for name, bound in (least | more).items():
        check_least(name, getattr(config, name), bound)
    for name in ("learning_rate", "scale", "bound", "tolerance"):
        value = getattr(config, name)
        if value is not None and not 0 < value < float("inf"):
            raise UserError(f"{flag(name)} must be positive and finite, got {value}")


def chosen(name: str, value: Value | None) -> Value:
    """A setting that starting the run has chosen where the user gave none.

    Raises:
        TypeError: it has not been chosen: see `suited`.
    """
    if value is None:
        raise TypeError(f"{name} is not chosen; `suited` chooses it from the data")
    return value


def check_decay(average_decay: float | None) -> None:
    """Refuse the decay of an average that is none.

    Raises:
        UserError: it is not in [0, 1).
    """
    if average_decay is not None and not 0 <= average_decay < 1:
        raise UserError(f"--average-decay must be 0 or more and less than 1, got {average_decay}")


def check_least(name: str, value: float | None, bound: float) -> None:
    """Refuse a setting that is less than `bound`; None is none.

    Raises:
        UserError: it is.
    """
    if value is not None and not value >= bound:
        raise UserError(f"{flag(name)} must be {bound} or more, got {value}")


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


def to_yaml(config: RunConfig) -> str:
    """The configuration as the text of a `config.yaml`."""
    values = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}
    return yaml.safe_dump({"experiment": config.KIND, **values}, sort_keys=False)


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
        settings: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
        return KINDS[kind](**settings)
    except (yaml.YAMLError, TypeError, AttributeError, KeyError) as error:
        raise UserError(f"{where} is not the configuration of a run: {str(error).splitlines()[0]}") from error


def is_file(name: str) -> bool:
    """Whether a data set is the file of this name: it is there, or ends as files do."""
    return Path(name).exists() or name.lower().endswith((".csv", ".tsv", ".gz", ".npy", ".npz", ".parquet"))
