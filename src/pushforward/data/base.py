"""What a data set is, and how its rows are divided."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Array, Float, Float32, Int, UInt8

from pushforward.errors import UserError

MIN_ROWS = 10
SHOWN_WARNINGS = 5
REPEATED = 0.05  # share of the rows that one value may have without a warning
DIGITS = 1e-4  # spacing of float32 that a column may have, in its standard deviations

Indices = Int[np.ndarray, " _"]
LogDensity = Callable[[Float[Array, " D"]], Float[Array, ""]]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of a table or images, divided once and for all.

    Attributes:
        name: what it is called in results.
        train, validation, test: float32 rows `(n, D)`, or uint8 images `(n, H, W, C)`.
        columns: names of a table's columns.
        levels: grey levels of discrete images, whose values are 0 ... levels - 1; None for continuous data.
        log_density: exact normalised log density of one point, `(D,)` -> `()`, where the data are drawn from one.
        warnings: what a reader of results should know of the data.
    """

    name: str
    train: Float32[np.ndarray, "train *event"] | UInt8[np.ndarray, "train *event"]
    validation: Float32[np.ndarray, "validation *event"] | UInt8[np.ndarray, "validation *event"]
    test: Float32[np.ndarray, "test *event"] | UInt8[np.ndarray, "test *event"]
    columns: tuple[str, ...] = ()
    levels: int | None = None
    log_density: LogDensity | None = None
    warnings: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row or image."""
        return self.train.shape[1:]


@dataclass(frozen=True)
class Split:
    """How rows are divided: at random by `seed`, `validation` and `test` of them set aside.

    Raises:
        UserError: the fractions are not positive or leave nothing to train on, or the seed is negative.
    """

    seed: int = 0
    validation: float = 0.1
    test: float = 0.1

    def __post_init__(self) -> None:
        if not (self.validation > 0 and self.test > 0 and self.validation + self.test < 1):
            fractions = f"{self.validation} and {self.test}"
            raise UserError(f"the validation and test fractions must be positive with a sum below 1, got {fractions}")
        if self.seed < 0:
            raise UserError(f"the seed must be 0 or more, got {self.seed}")

    def rows(self, n: int) -> tuple[Indices, Indices, Indices]:
        """Indices of the rows of each part: disjoint, and together all `n`.

        Raises:
            UserError: there are too few rows.
        """
        validation, test = (max(1, round(n * fraction)) for fraction in (self.validation, self.test))
        self._check(n, n - validation - test)
        order = np.random.default_rng(self.seed).permutation(n)
        return order[validation + test :], order[:validation], order[validation : validation + test]

    def training_rows(self, n: int) -> tuple[Indices, Indices]:
        """Indices for data that have a test set of their own: `n` rows divided in two.

        Raises:
            UserError: there are too few rows.
        """
        validation = max(1, round(n * self.validation))
        self._check(n, n - validation)
        order = np.random.default_rng(self.seed).permutation(n)
        return order[validation:], order[:validation]

    def _check(self, n: int, train: int) -> None:
        if n < MIN_ROWS:
            raise UserError(f"{n} row{'' if n == 1 else 's'}; at least {MIN_ROWS} are needed")
        if train < 2:
            raise UserError(f"{n} rows, of which {max(train, 0)} would be left to train on; set fewer aside")


def table(
    name: str,
    values: Float32[np.ndarray, "n D"],
    columns: tuple[str, ...],
    split: Split,
    warnings: tuple[str, ...] = (),
) -> Dataset:
    """The data set of a table of finite values.

    Raises:
        UserError: there are too few rows, or a column has one value in all rows to train on.
    """
    try:
        train, validation, test = split.rows(len(values))
    except UserError as error:
        raise UserError(f"{name} has {error}") from error
    spread = np.ptp(values[train], axis=0)
    if not spread.all():
        index = int(np.argmin(spread != 0))
        rows = f"all {len(train)} rows to train on"
        raise UserError(f"{name}: column {brief(columns[index])} is constant, {values[train[0], index]:g} in {rows}")
    warnings += _first([text for column, x in zip(columns, values.T) for text in _doubts(column, x)])
    return Dataset(name, values[train], values[validation], values[test], columns, warnings=warnings)


def _doubts(column: str, values: Float32[np.ndarray, " n"]) -> list[str]:
    """What makes a density of this column doubtful."""
    distinct, counts = np.unique(values, return_counts=True)
    n, most = len(values), int(counts.max())
    doubts = []
    if most > max(2, REPEATED * n) or len(distinct) < n / 10:
        repeats = f"{len(distinct):,} distinct values in {n:,} rows, {most:,} of them {distinct[counts.argmax()]:g}"
        doubts.append(f"column {brief(column)} has {repeats}: a density of it has no upper bound")
    spacing = np.spacing(np.abs(values).max())
    if spacing > DIGITS * np.std(values, dtype=np.float64):
        doubts.append(f"column {brief(column)} varies by too little for float32: subtract a constant from it")
    return doubts


def _first(warnings: list[str]) -> tuple[str, ...]:
    more = len(warnings) - SHOWN_WARNINGS
    return (*warnings[:SHOWN_WARNINGS], *([f"{more:,} more warnings of this kind"] if more > 0 else []))


def brief(text: str, length: int = 40) -> str:
    """`text` in quotes, on one line, cut to `length` characters."""
    shown = repr(text[: length + 1])
    return shown if len(shown) <= length + 2 else f"{shown[: length - 2]}...{shown[0]}"
