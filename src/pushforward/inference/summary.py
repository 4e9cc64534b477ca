"""What weighted draws say of each parameter, with Monte Carlo errors."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

PROBABILITIES = (0.05, 0.95)
ARVIZ = "ArviZ 1, which chains and their files take, needs Python 3.12"


@dataclass(frozen=True)
class Row:
    """One number of a posterior; each value with its Monte Carlo standard error.

    Attributes:
        name: of the parameter, with its index.
        mean: expectation.
        mean_error: of it.
        sd: standard deviation.
        sd_error: of it.
        low: 5% quantile.
        low_error: of it.
        high: 95% quantile.
        high_error: of it.
    """

    name: str
    mean: float
    mean_error: float
    sd: float
    sd_error: float
    low: float
    low_error: float
    high: float
    high_error: float

    @property
    def uncertainty(self) -> float:
        """The error of the mean in standard deviations: how badly the parameter is determined."""
        return self.mean_error / self.sd if self.sd > 0 else 0.0


@dataclass(frozen=True)
class Summary:
    """The table of a posterior.

    Attributes:
        rows: one a number.
    """

    rows: tuple[Row, ...]

    @property
    def worst(self) -> Row:
        """The number that is determined worst."""
        return max(self.rows, key=lambda row: row.uncertainty)

    def __getitem__(self, name: str) -> Row:
        return next(row for row in self.rows if row.name == name)

    def __str__(self) -> str:
        head = ["", "mean", "± MC", "sd", "± MC", "5%", "± MC", "95%", "± MC"]
        lines = [head, *([row.name, *map(_digits, _numbers(row))] for row in self.rows)]
        widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
        return "\n".join(
            "  ".join([line[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(line[1:], widths[1:]))])
            for line in lines
        )

    __repr__ = __str__


def unrolled(
    angles: Float[np.ndarray, "n ..."], weights: Float[np.ndarray, "..."] | None = None, axes: int = 1
) -> Float[np.ndarray, "n ..."]:
    """The angles, up to whole turns, that are within half a turn of their circular mean, which lies in [-pi, pi).

    Mean, standard deviation and quantiles of angles are those of these numbers.

    Args:
        angles: draws of them.
        weights: of the draws; equal unless given.
        axes: how many leading axes are those of the draws.
    """
    center = np.angle(np.average(np.exp(1j * angles), axis=tuple(range(axes)), weights=weights))
    return center + np.mod(angles - center + np.pi, 2 * np.pi) - np.pi


def summarise(draws: dict[str, Float[np.ndarray, "n ..."]], weights: Float[np.ndarray, " n"]) -> Summary:
    """Weighted mean, standard deviation and quantiles of every number.

    The errors are those of self-normalised importance sampling, by the delta method.

    Args:
        draws: arrays of draws by name.
        weights: of the draws; they sum to 1.
    """
    return Summary(
        tuple(_row(name, np.asarray(values, np.float64), weights) for name, values in columns(draws).items())
    )


def columns(
    draws: Mapping[str, Float[np.ndarray, "*draws_and_shape"]], axes: int = 1
) -> dict[str, Float[np.ndarray, "*draws"]]:
    """Every number of named arrays, called by the name of the array and its index.

    Args:
        draws: arrays by name.
        axes: how many leading axes are those of the draws.
    """
    leading = (slice(None),) * axes
    return {
        f"{name}[{', '.join(map(str, index))}]" if index else name: values[(*leading, *index)]
        for name, values in draws.items()
        for index in np.ndindex(*values.shape[axes:])
    }


def _row(name: str, x: Float[np.ndarray, " n"], weights: Float[np.ndarray, " n"]) -> Row:
    mean = float(weights @ x)
    squares = (x - mean) ** 2
    variance = float(weights @ squares)
    sd = variance**0.5
    mean_error = float(np.sqrt(weights**2 @ squares))
    variance_error = float(np.sqrt(weights**2 @ (squares - variance) ** 2))
    order = np.argsort(x)
    x, ordered = x[order], weights[order]
    cumulative = np.cumsum(ordered) - ordered / 2
    ends = []
    for probability in PROBABILITIES:
        value = float(np.interp(probability, cumulative, x))
        share_error = float(np.sqrt(ordered**2 @ ((x <= value) - probability) ** 2))
        around = np.interp([probability - share_error, probability + share_error], cumulative, x)
        ends += [value, float(np.diff(around)[0]) / 2]
    return Row(name, mean, mean_error, sd, variance_error / (2 * sd) if sd > 0 else 0.0, *ends)


def _numbers(row: Row) -> list[float]:
    return [
        row.mean,
        row.mean_error,
        row.sd,
        row.sd_error,
        row.low,
        row.low_error,
        row.high,
        row.high_error,
    ]


def _digits(value: float) -> str:
    return f"{value:.4g}"
