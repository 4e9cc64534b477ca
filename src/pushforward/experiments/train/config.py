"""The settings of a flow trained on data. Light to import: `--help` needs nothing else."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, TypeVar

import tyro

from pushforward.errors import UserError
from pushforward.experiments.config import (
    FlowConfig,
    FlowLength,
    FlowName,
    TrainingConfig,
    check_decay,
    check_least,
    check_positive,
)

if TYPE_CHECKING:
    from pushforward.data import TableOptions

AUTO = "auto"

Value = TypeVar("Value")


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

    given: tuple[str, ...] = ()
    """names of the columns of a file that the density of the others is conditional on; words are categories"""

    categorical: tuple[str, ...] = ()
    """of those, names of the ones whose numbers are categories"""

    stream: Literal["auto", "yes", "no"] = "auto"
    """of an .npy or .parquet file: whether rows stay on disk, and are read while the flow is trained; those of more
    than 128 MiB in single precision unless given"""

    def table_options(self, heavy_tails: bool = False) -> "TableOptions":
        """What of a user's table is used, and how it is read; `heavy_tails` are expected by some bases.

        Raises:
            UserError: the delimiter cannot be one.
        """
        from pushforward.data import TableOptions, TextFormat

        names = "columns", "drop", "log", "drop_rows", "allow_degenerate", "given", "categorical", "stream"
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
    SUBJECT: ClassVar[str] = "data"

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

    conditioning: Literal["condition", "amortize"] | None = None
    """of a conditional density: the flow's own networks see the context, or another network emits all parameters of the
    flow; unless given the first, where there are networks"""

    dequantization: Literal["uniform", "variational"] = "uniform"
    """images: the noise that makes grey levels continuous"""

    def check(self) -> None:
        super().check()
        self.check_flow()
        check_least(self, restarts=1, validate_every=1, patience=0, smoothing=0)
        check_positive(self, "learning_rate")
        check_decay(self.average_decay)
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


@dataclass(frozen=True, kw_only=True)
class ConditionalConfig(TrainConfig):
    """A density of some columns given others, trained by maximum likelihood."""

    KIND: ClassVar[str] = "conditional"

    @property
    def title(self) -> str:
        return f"{super().title} · given {', '.join(self.given) or 'contexts'}"


def chosen(name: str, value: Value | None) -> Value:
    """A setting that starting the run has chosen where the user gave none.

    Raises:
        TypeError: it has not been chosen: see `suited`.
    """
    if value is None:
        raise TypeError(f"{name} is not chosen; `suited` chooses it from the data")
    return value


def is_file(name: str) -> bool:
    """Whether a data set is the file of this name: it is there, or ends as files do."""
    return Path(name).exists() or name.lower().endswith((".csv", ".tsv", ".gz", ".npy", ".npz", ".parquet"))
