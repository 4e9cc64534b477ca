"""Settings of training that suit the rows and columns of the data, where the user gives none.

The rules were found by trials on scikit-learn's tables and on draws of known densities;
`results/benchmarks/small_tables.md` holds them to a Gaussian and to flows tuned by hand.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import stats

from pushforward.data import Dataset
from pushforward.experiments.families import given
from pushforward.experiments.train.config import AUTO, TrainConfig
from pushforward.experiments.train.models import gaussian_units

HEAVY_COLUMN, HEAVY_ON_AVERAGE = 0.1, 0.01
WHITENED, SMOOTHED, SLOW = 5, 25, 200
LEAST_PIVOT = 1e-3
TAIL_ROWS = 10_000
SPLINES_ONLY = {"bins", "bound"}


def suited(config: TrainConfig, data: Dataset) -> TrainConfig:
    """The settings with those that are not given chosen by the training rows and the columns.

    - `base`: Student-t with trained tails where that law describes the columns better than a Normal does, by 0.01 nats
      a row on average or by 0.1 in one of them; else N(0, I).
    - `flow`: `maf` where the base is Student-t: affine layers go on beyond the reach of a spline. Else
      `nsf_autoregressive`, as where settings are given that only splines have.
    - `start`: the Gaussian of the training rows, where these are five times as many as the columns: a flow that is soon
      overfitted should not spend its steps on what a covariance says.
    - `smoothing`: 0.3 where there are fewer than 25 rows a column, else none.
    - `learning_rate`: 0.0003 where there are fewer than 200 rows a column and the base is not Student-t, so that the
      best step is not passed over; else 0.001.
    - `validate_every`: about every five times that the rows are seen, 10 to 100 steps.
    - `patience`: 30 validations, 500 to 3,000 steps.
    - `average_decay`: 0.99.

    Images get the settings of large tables of light tails.
    """
    heavy, start, smoothing, rows_per_column = False, "standardised", 0.0, math.inf
    if data.levels is None:
        rows = data.learned(data.train)
        rows_per_column = len(rows) / rows.shape[1]
        heavy = config.base == "student-t" if config.base else _heavy(rows)
        if rows_per_column >= WHITENED and _independent(data, heavy):
            start = "whitened"
        smoothing = 0.3 if rows_per_column < SMOOTHED and not any(data.logged) else 0.0
    validate_every = config.validate_every or min(max(5 * len(data.train) // config.batch_size, 10), 100)
    chosen: dict[str, Any] = {
        "base": "student-t" if heavy else "normal",
        "start": start,
        "smoothing": smoothing,
        "learning_rate": 3e-4 if rows_per_column < SLOW and not heavy else 1e-3,
        "validate_every": validate_every,
        "patience": min(max(30 * validate_every, 500), 3_000),
        "average_decay": 0.99,
    }
    if config.flow == AUTO:
        affine = heavy and not given(config.settings).keys() & SPLINES_ONLY
        config = config.with_flow("maf" if affine else "nsf_autoregressive")
    return replace(config, **{name: value for name, value in chosen.items() if getattr(config, name) is None})


def _independent(data: Dataset, robust: bool) -> bool:
    """Whether no column is, to single precision, a linear function of those before it."""
    try:
        _, _, factor = gaussian_units(data, whitened=True, robust=robust)
    except np.linalg.LinAlgError:
        return False
    return bool(np.diagonal(factor).min() > LEAST_PIVOT)


def _heavy(rows: Float[np.ndarray, "n D"]) -> bool:
    gains = tail_gains(rows)
    return bool(gains.max() > HEAVY_COLUMN or gains.mean() > HEAVY_ON_AVERAGE)


def tail_gains(rows: Float[np.ndarray, "n D"]) -> Float[np.ndarray, " D"]:
    """By how many nats a row a Student-t fits each column better than a Normal."""
    rows = rows[:TAIL_ROWS]
    gains = []
    for x in ((rows - rows.mean(axis=0)) / rows.std(axis=0)).T:
        df, loc, scale = stats.t.fit(x, 3.0)
        gains.append(np.mean(stats.t.logpdf(x, df, loc, scale) - stats.norm.logpdf(x)))
    return np.array(gains)
