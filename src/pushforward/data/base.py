"""What a data set is, and how its rows are divided."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from jaxtyping import Array, Float, Float32, Float64, Int, UInt8

from pushforward.data.checks import determined, doubts, drop, repeats
from pushforward.data.tables import Table, TextFormat, Words
from pushforward.data.text import brief
from pushforward.data.windows import Windows
from pushforward.errors import UserError

MIN_ROWS = 10
SHOWN_WARNINGS = 5

Indices = Int[np.ndarray, " _"]
LogDensity = Callable[[Float[Array, " D"]], Float[Array, ""]]


@dataclass(frozen=True, eq=False)
class Given:
    """What a density is conditional on: a context for each row.

    Attributes:
        columns: what the numbers of a context are called.
        categories: of each of them, the names of its categories, in whose place they are indices; none of a number.
        train, validation, test: float32 contexts `(n, columns)`, in the order of the rows.
    """

    columns: tuple[str, ...]
    categories: tuple[tuple[str, ...], ...]
    train: Float32[np.ndarray, "train columns"]
    validation: Float32[np.ndarray, "validation columns"]
    test: Float32[np.ndarray, "test columns"]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of a table or images, divided once and for all.

    Attributes:
        name: what it is called in results.
        train, validation, test: float32 rows `(n, D)`, or uint8 images `(n, H, W, C)`.
        columns: names of a table's columns.
        levels: grey levels of discrete images, whose values are 0 ... levels - 1; None for continuous data.
        log_density: exact normalised log density of one point, `(D,)` -> `()`, where the data are drawn from one.
        logged: of a table, the columns of which a flow learns the logarithm.
        warnings: what a reader of results should know of the data.
        given: of a table, the columns that are contexts.
        windows: of a table that stays on disk, all rows to train on; `train` is then a sample of them.
        digest: of such a table, of all of its numbers.
    """

    name: str
    train: Float32[np.ndarray, "train *event"] | UInt8[np.ndarray, "train *event"]
    validation: Float32[np.ndarray, "validation *event"] | UInt8[np.ndarray, "validation *event"]
    test: Float32[np.ndarray, "test *event"] | UInt8[np.ndarray, "test *event"]
    columns: tuple[str, ...] = ()
    levels: int | None = None
    log_density: LogDensity | None = None
    logged: tuple[bool, ...] = ()
    warnings: tuple[str, ...] = ()
    given: Given | None = None
    windows: Windows | None = None
    digest: str = ""

    @property
    def rows(self) -> tuple[int, int, int]:
        """How many there are to train on, for validation and for the test."""
        return len(self.windows or self.train), len(self.validation), len(self.test)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one row or image."""
        return self.train.shape[1:]

    def learned(self, rows: Float32[np.ndarray, "n D"]) -> Float64[np.ndarray, "n D"]:
        """Rows of a table as a flow learns them: in double precision, the logarithms of logged columns."""
        rows = rows.astype(np.float64)
        return np.where(self.logged, np.log(np.where(self.logged, rows, 1.0)), rows) if any(self.logged) else rows


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

    def groups(self, first: Indices) -> tuple[Indices, Indices, Indices]:
        """As `rows`, for rows of which `first` names the first equal one: equal rows go to one part.

        Raises:
            UserError: there are too few rows, or too few distinct ones.
        """
        n = len(first)
        goals = [max(1, round(n * fraction)) for fraction in (self.validation, self.test)]
        self._check(n, n - sum(goals))
        distinct, counts = np.unique(first, return_counts=True)
        order = np.random.default_rng(self.seed).permutation(len(distinct))
        validation, test = np.searchsorted(np.cumsum(counts[order]), [goals[0], sum(goals)]) + 1
        if len(distinct) - test < 2:
            raise UserError(f"{n} rows, only {len(distinct)} of them distinct: too few for three parts")
        parts = order[test:], order[:validation], order[validation:test]
        by_first = np.argsort(first, kind="stable")
        ends = np.cumsum(counts)
        members = np.split(by_first, ends[:-1])
        train, held, judged = (np.concatenate([members[group] for group in part]) for part in parts)
        return train, held, judged

    def training_rows(self, n: int) -> tuple[Indices, Indices]:
        """Indices for data that have a test set of their own: `n` rows divided in two.

        Raises:
            UserError: there are too few rows.
        """
        validation = max(1, round(n * self.validation))
        self._check(n, n - validation)
        order = np.random.default_rng(self.seed).permutation(n)
        return order[validation:], order[:validation]

    def sample(self, n: int, most: int, held_out: int, dropped: Indices) -> tuple[Indices, Indices, Indices]:
        """Some of very many rows for each part: the indices of a sample of those to train on, and of the others.

        Args:
            n: rows in all.
            most: to train on that are in the sample.
            held_out: for validation, and for the test, at most.
            dropped: indices of rows that are in none.

        Raises:
            UserError: there are too few rows.
        """
        validation, test = (min(max(1, round(n * part)), held_out) for part in (self.validation, self.test))
        left = n - len(dropped) - validation - test
        self._check(n, left)
        rng = np.random.default_rng(self.seed)
        order = rng.choice(n, min(n, validation + test + most + len(dropped)), replace=False)
        order = order[~np.isin(order, dropped)]
        return order[validation + test :], order[:validation], order[validation : validation + test]

    def _check(self, n: int, train: int) -> None:
        if n < MIN_ROWS:
            raise UserError(f"{n} row{'' if n == 1 else 's'}; at least {MIN_ROWS} are needed")
        if train < 2:
            raise UserError(f"{n} rows, of which {max(train, 0)} would be left to train on; set fewer aside")


@dataclass(frozen=True)
class TableOptions:
    """What of a user's table is used, and how.

    Attributes:
        columns: the names of those to use; all unless given.
        drop: the names of those to leave out.
        log: the names of positive columns of which the flow learns the logarithm.
        drop_rows: rows to leave out, numbered from 1 below the line of names.
        allow_degenerate: go on where columns determine each other or there are no more rows than columns.
        heavy_tails: whether the base expects them, so that many far values are no cause for a warning.
        text: how a text file is written.
        given: the names of the columns that are contexts; those that the file sets apart unless given.
        categorical: of those, the names of the ones that hold categories though they hold numbers.
        stream: whether the rows of a file stay on disk; where they are very many unless said.
    """

    columns: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    log: tuple[str, ...] = ()
    drop_rows: tuple[int, ...] = ()
    allow_degenerate: bool = False
    heavy_tails: bool = False
    text: TextFormat = field(default_factory=TextFormat)
    given: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    stream: Literal["auto", "yes", "no"] = "auto"

    @property
    def words(self) -> Words:
        """Which columns of a file may hold words, and which are not looked at."""
        named = {"--columns": self.columns, "--drop": self.drop, "--log": self.log}
        named |= {"--given": self.given, "--categorical": self.categorical}
        return Words(self.given, self.categorical, self.drop, self.columns, named)

    def chosen(self, content: Table) -> tuple[list[int], list[int]]:
        """The indices of the columns to use and of those that are contexts, in the order of the file.

        Raises:
            UserError: there is no column of a name, or none is left, or one is context and something else.
        """
        columns, given = content.columns, self.given or content.given
        self.words.check(columns)
        for option in ("--columns", "--log", "--drop"):
            both = [name for name in self.words.named[option] if name in self.given]
            if both:
                raise UserError(f"column {brief(both[0])} is named by --given and by {option}")
        for name in self.categorical:
            if name not in given:
                raise UserError(f"--categorical: {brief(name)} is no context; name it by --given too")
        kept = [
            index
            for index, name in enumerate(columns)
            if (not self.columns or name in self.columns) and name not in self.drop and name not in given
        ]
        if not kept:
            left = "--given leaves no column to model" if given else "--columns and --drop leave no column"
            raise UserError(left)
        return kept, [index for index, name in enumerate(columns) if name in given and name not in self.drop]


def table(name: str, content: Table, split: Split, options: TableOptions | None = None) -> Dataset:
    """The data set of a table.

    Equal rows, their contexts included, go to one part: a row of the test set that was trained on judges nothing.

    Raises:
        UserError: there are too few rows, a column has one value in all rows to train on, columns determine each
            other, a logarithm is asked for of a number that is not positive, or something named is not there.
    """
    options = options or TableOptions()
    indices, contexts = options.chosen(content)
    columns = tuple(content.columns[index] for index in indices)
    kept = np.setdiff1d(np.arange(len(content.values)), dropped_rows(name, len(content.values), options.drop_rows))
    values, given = content.values[np.ix_(kept, indices)], content.values[np.ix_(kept, contexts)]
    logged = tuple(column in options.log for column in columns)
    check_positive(name, values, columns, logged, kept)
    first = repeats(np.concatenate([values, given], axis=1))
    repeated = int(np.sum(first != np.arange(len(values))))
    try:
        train, validation, test = split.rows(len(values)) if repeated == 0 else split.groups(first)
    except UserError as error:
        raise UserError(f"{name} has {error}") from error
    warnings = content.warnings
    if repeated:
        distinct = len(values) - repeated
        warnings += (
            f"{repeated:,} of {len(values):,} rows repeat another ({distinct:,} are distinct): equal rows are kept in "
            "one part of the split, and a density of repeated rows has no upper bound",
        )
    used = Table(
        np.concatenate([values, given], axis=1),
        tuple(content.columns[index] for index in (*indices, *contexts)),
        warnings,
        content.categories,
    )
    return assembled(name, used, len(indices), (train, validation, test), options, kept)


def assembled(
    name: str,
    content: Table,
    width: int,
    parts: tuple[Indices, Indices, Indices],
    options: TableOptions,
    kept: Indices,
) -> Dataset:
    """The data set of rows whose parts are known.

    Args:
        name: of the table.
        content: the columns that are modelled, then the contexts.
        width: how many are modelled.
        parts: indices of the rows to train on, for validation and for the test.
        options: what of the table is used.
        kept: the numbers of the rows in the file, from 0.

    Raises:
        UserError: as `table`.
    """
    train, validation, test = parts
    columns, of_contexts = content.columns[:width], content.columns[width:]
    values, given = content.values[:, :width], content.values[:, width:]
    logged = tuple(column in options.log for column in columns)
    single, single_given = values.astype(np.float32), given.astype(np.float32)
    _check_varying(name, single[train], columns)
    _check_varying(name, single_given[train], of_contexts)
    seen = np.where(logged, np.log(np.where(logged, values, 1.0)), values)
    flat = determined(seen[train], columns)
    numbers = [index for index, column in enumerate(of_contexts) if column not in content.categories]
    if flat is None and numbers:
        names, beside_numbers = tuple(of_contexts[index] for index in numbers), given[np.ix_(train, numbers)]
        if determined(beside_numbers, names) is None:
            flat = determined(np.concatenate([beside_numbers, seen[train]], axis=1), (*names, *columns))
    if flat is not None and not options.allow_degenerate:
        raise UserError(f"{name}: {flat}; leave columns out with --drop, or go on with --allow-degenerate")
    warnings = [*([flat] if flat is not None else []), *content.warnings]
    warnings += _first(doubts(columns, values, options.heavy_tails, kept))
    beside = None
    if of_contexts:
        categories = tuple(content.categories.get(column, ()) for column in of_contexts)
        beside = Given(of_contexts, categories, single_given[train], single_given[validation], single_given[test])
    return Dataset(
        name,
        single[train],
        single[validation],
        single[test],
        columns,
        logged=logged,
        warnings=tuple(warnings),
        given=beside,
    )


def _check_varying(name: str, rows: Float32[np.ndarray, "n D"], columns: tuple[str, ...]) -> None:
    spread = np.ptp(rows, axis=0)
    if not spread.all():
        index = int(np.argmin(spread != 0))
        constant = f"{rows[0, index]:g} in all {len(rows)} rows to train on"
        raise UserError(
            f"{name}: column {brief(columns[index])} is constant, {constant}; leave it out with {drop(columns[index])}"
        )


def dropped_rows(name: str, n: int, dropped: tuple[int, ...]) -> Indices:
    """Indices of rows that are left out, sorted.

    Args:
        name: of the table.
        n: its rows.
        dropped: their numbers, from 1.

    Raises:
        UserError: there is no such row.
    """
    for row in dropped:
        if not 1 <= row <= n:
            raise UserError(f"--drop-rows: {name} has no row {row}, only 1 to {n}")
    return np.unique(np.array(dropped, int) - 1)


def check_positive(
    name: str, values: Float64[np.ndarray, "n D"], columns: tuple[str, ...], logged: tuple[bool, ...], kept: Indices
) -> None:
    """Refuse numbers without a logarithm in columns of which it is learned.

    Args:
        name: of the table.
        values: some rows of it.
        columns: their names.
        logged: whether the logarithm of each is learned.
        kept: the numbers of these rows, from 0.

    Raises:
        UserError: naming row and column.
    """
    wrong = (values <= 0) & np.array(logged)
    if wrong.any():
        row, column = np.unravel_index(int(wrong.argmax()), wrong.shape)
        raise UserError(
            f"{name}: --log takes positive numbers, but row {kept[row] + 1:,} of column {brief(columns[column])} is "
            f"{values[row, column]:g}"
        )


def _first(warnings: list[str]) -> tuple[str, ...]:
    more = len(warnings) - SHOWN_WARNINGS
    return (*warnings[:SHOWN_WARNINGS], *([f"{more:,} more warnings of this kind"] if more > 0 else []))
