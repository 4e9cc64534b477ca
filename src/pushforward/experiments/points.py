"""Points of a user's own, from a file or from the command line, matched to the columns of a run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pushforward.contexts import Encoder
from pushforward.data.tables import READERS, TEXT, Table, TextFormat, Words, read_table, suffix_of
from pushforward.data.text import brief
from pushforward.errors import UserError, nearest


def is_table(words: Sequence[str]) -> bool:
    """Whether what follows `--given` is the name of a file, and not values of columns."""
    return len(words) == 1 and "=" not in words[0] and suffix_of(Path(words[0])) in READERS


def contexts_of(encoder: Encoder, words: Sequence[str]) -> Float[np.ndarray, "rows columns"]:
    """The contexts that follow `--given`: one, as words such as `rooms=3`, or the rows of a table.

    Args:
        encoder: of the run's contexts.
        words: values, or the name of a file.

    Raises:
        UserError: they do not fit.
    """
    return read_points(Path(words[0]), (), encoder)[1] if is_table(words) else one_context(encoder, words)


def one_context(encoder: Encoder, words: Sequence[str]) -> Float[np.ndarray, "1 columns"]:
    """The context that words such as `rooms=3` say.

    Args:
        encoder: of the run's contexts.
        words: one a column.

    Raises:
        UserError: a word is of another form, a column unknown, missing or given twice, or a value none of it.
    """
    values: dict[str, float | str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            raise UserError(f"--given takes COLUMN=VALUE, or a file, got {brief(word)}")
        if name in values:
            raise UserError(f"--given names {brief(name)} twice")
        values[name] = value
    return encoder.context(values)[None]


def read_points(
    path: Path, columns: Sequence[str], encoder: Encoder | None, text: TextFormat | None = None
) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, "n context"]]:
    """The rows of a file, and their contexts, in the order of a run's columns; columns that the run lacks are left out.

    A file without names has the run's columns in their order, those of the contexts last.

    Args:
        path: of the file.
        columns: of the run; none where contexts alone are wanted.
        encoder: of the run's contexts; None where it has none, or where they are given in another way.
        text: how it is written, where it is a text file.

    Raises:
        UserError: the file cannot be read, a column is missing, or a word is none of a category.
    """
    wanted = (*columns, *(encoder.columns if encoder is not None else ()))
    wordy = () if encoder is None else encoder.columns
    declared = () if encoder is None else tuple(name for name, names in zip(wordy, encoder.categories) if names)
    content = read_table(path, text, Words(wordy, declared))
    named = _named(path, content, wanted)
    values = content.values[:, [named.index(name) for name in wanted]]
    rows, contexts = values[:, : len(columns)], values[:, len(columns) :]
    if encoder is None:
        return rows, contexts
    for index, (name, known) in enumerate(zip(encoder.columns, encoder.categories)):
        found = content.categories.get(content.columns[named.index(name)])
        if known and found is not None:
            contexts[:, index] = _places(path, name, contexts[:, index], found, known)
        elif found is not None:
            raise UserError(f"{path.name}: column {brief(name)} holds words, {brief(found[0])} for one, not numbers")
    return rows, contexts


def _named(path: Path, content: Table, wanted: Sequence[str]) -> list[str]:
    """The names of the file's columns; those of the run where the file has none."""
    columns = list(content.columns)
    missing = [name for name in wanted if name not in columns]
    if not missing:
        return columns
    if all(column == f"x{index + 1}" for index, column in enumerate(columns)) and len(columns) == len(wanted):
        return list(wanted)
    if suffix_of(path) in TEXT or len(columns) != len(wanted):
        raise UserError(f"{path.name} has no column {brief(missing[0])}{nearest(missing[0], columns)}")
    return list(wanted)


def _places(
    path: Path, name: str, values: Float[np.ndarray, " n"], found: tuple[str, ...], known: tuple[str, ...]
) -> Float[np.ndarray, " n"]:
    """Places of a file's words among those of the run."""
    for place, word in enumerate(found):
        if word not in known:
            row = int(np.argmax(values == place)) + 1
            raise UserError(f"{path.name}, row {row:,}: {brief(name)} has no category {word!r}{nearest(word, known)}")
    places = np.array([known.index(word) for word in found], np.float64)
    return places[values.astype(int)]
