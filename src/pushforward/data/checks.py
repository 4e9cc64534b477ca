"""What makes the density of a table doubtful, or none at all."""

import shlex

import numpy as np
from jaxtyping import Float64, Int

from pushforward.data.text import brief

REPEATED = 0.05  # share of the rows that one value may have without a warning
DIGITS = 1e-4  # spacing of float32 that a column may have, in its standard deviations
WILD = 100.0  # robust standard deviations from the median
DETERMINED = 1e-4  # standard deviations by which a combination of columns may vary that is taken for none
PART = 0.02  # weight of a column that takes part in such a combination
INDEX_NAMES = ("id", "index", "idx", "row", "row_id", "rowid", "unnamed: 0")
MOST_NAMED = 6
LONGEST = 40


def repeats(values: Float64[np.ndarray, "n D"]) -> Int[np.ndarray, " n"]:
    """For each row the index of the first one equal to it."""
    rows = np.ascontiguousarray(values + 0.0)  # -0.0 is 0.0
    whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    return np.asarray(first[inverse])


def determined(values: Float64[np.ndarray, "n D"], columns: tuple[str, ...]) -> str | None:
    """Which columns determine each other by a linear equation; None where none do.

    By the singular values of the standardised columns, in double precision.
    """
    n, width = values.shape
    if n <= width:
        return f"{n:,} rows to train on for {width:,} columns: every density of them has a flat direction"
    scale = np.ptp(values, axis=0)
    standard = values / np.where(scale > 0, scale, 1)
    standard = standard - standard.mean(axis=0)
    standard /= np.maximum(standard.std(axis=0), np.finfo(float).tiny)
    _, singular, directions = np.linalg.svd(np.linalg.qr(standard, mode="r"))
    flat = directions[singular < DETERMINED * np.sqrt(n)]
    if not len(flat):
        return None
    # Of all equations together: the columns that any of them needs.
    taking_part = np.flatnonzero(np.abs(flat).max(axis=0) > PART)
    named = [brief(columns[index]) for index in taking_part[:MOST_NAMED]]
    more = len(taking_part) - len(named)
    names = f"{', '.join(named)}{f' and {more} more' if more > 0 else ''}"
    return f"columns {names} determine each other: a density of them has no upper bound"


def doubts(
    columns: tuple[str, ...], values: Float64[np.ndarray, "n D"], heavy_tails: bool, kept: Int[np.ndarray, " n"]
) -> list[str]:
    """What to be warned of, column by column; `kept` numbers the rows as the file does, from 0."""
    found = []
    for column, x in zip(columns, values.T):
        found += repeated_values(column, x) + _index(column, x) + _digits(column, x)
        found += _wild(column, x, heavy_tails, kept)
    return found


def repeated_values(column: str, x: Float64[np.ndarray, " n"]) -> list[str]:
    """A warning, where one value has many rows or there are few values, of the column of this name."""
    distinct, counts = np.unique(x, return_counts=True)
    n, most = len(x), int(counts.max())
    if most <= max(2, REPEATED * n) and len(distinct) >= n / 10:
        return []
    seen = f"{len(distinct):,} distinct values in {n:,} rows, {most:,} of them {distinct[counts.argmax()]:g}"
    return [f"column {brief(column)} has {seen}: a density of it has no upper bound"]


def _index(column: str, x: Float64[np.ndarray, " n"]) -> list[str]:
    whole = np.all(x == np.floor(x)) and len(np.unique(x)) == len(x)
    counted = whole and np.all(np.diff(x) == 1)
    if not (counted or (whole and column.strip().lower() in INDEX_NAMES)):
        return []
    return [f"column {brief(column)} looks like an index of the rows: leave it out with {drop(column)}"]


def _digits(column: str, x: Float64[np.ndarray, " n"]) -> list[str]:
    spacing = float(np.spacing(np.float32(np.abs(x).max())))
    if spacing <= DIGITS * np.std(x):
        return []
    return [f"column {brief(column)} varies by too little for float32: subtract a constant from it"]


def _wild(column: str, x: Float64[np.ndarray, " n"], heavy_tails: bool, kept: Int[np.ndarray, " n"]) -> list[str]:
    centre, scale = robust_moments(x)
    if not scale > 0:
        return []
    distance = np.abs(x - centre) / scale
    wild = np.flatnonzero(distance > WILD)
    if not len(wild):
        return []
    worst = wild[np.argmax(distance[wild])]
    far = f"{x[worst]:g} in row {kept[worst] + 1:,}, {distance[worst]:,.0f} robust standard deviations from the median"
    if len(wild) > MOST_NAMED:
        return [] if heavy_tails else [f"column {brief(column)} has heavy tails, {far}: use --base student-t"]
    rows = " ".join(str(kept[index] + 1) for index in wild)
    return [
        f"column {brief(column)} holds {far}: leave it out with --drop-rows {rows}, or keep it with --base student-t"
    ]


def drop(column: str) -> str:
    """The flag that leaves a column out."""
    return f"--drop {shlex.quote(column)}" if column.isprintable() and len(column) <= LONGEST else "--drop"


def robust_moments(x: Float64[np.ndarray, "n *D"]) -> tuple[Float64[np.ndarray, "*D"], Float64[np.ndarray, "*D"]]:
    """The median, and the distance of the quartiles as that of a Normal's in its standard deviations."""
    low, centre, high = np.quantile(x, [0.25, 0.5, 0.75], axis=0)
    return np.asarray(centre), np.asarray((high - low) / 1.3489795)
