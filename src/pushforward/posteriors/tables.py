"""The tables that posteriors of Bayesian learning are given."""

import io
from typing import Any

import numpy as np

from pushforward.data.downloads import Source, fetch
from pushforward.targets.sources import read_data

FOLDER = "bayesian"
TABLES = Source(
    FOLDER,
    (),
    {
        "brownian.csv": "e7d2fd713b269059d6e35feb0dc112cfb4b3eba1705b353e1ae23c7596b5b416",
        "ionosphere.csv": "d2f7c05a9d0327c21d9b4de3c728f8e727bb16f935830754e18684586aed0348",
        "pines.csv": "c57af2e9f2a38ed99a3884fbf81ad1b0c607adcf7749bad53a6df66ef313c89a",
        "seeds.csv": "1b7531405b9635617630154c17210571fff46d4562dda5f383a09fd7403957db",
        "sonar.csv": "89dcaa6c5f6cef3b235e1df622310056ec16f7b6896788fe6696822c7af5909d",
    },
)
GERMAN = Source(
    FOLDER,
    ("https://archive.ics.uci.edu/ml/machine-learning-databases/statlog/german/",),
    {"german.data-numeric": "2752b044394958ab6dd193a0b56ca0f0b3a2d8bc7cb8c008e35a5e84bbec02f8"},
)


def read_table(name: str) -> dict[str, Any]:
    """The columns of a table by name.

    Args:
        name: of the table.

    Raises:
        UserError: the file cannot be had.
    """
    return read_data(fetch(TABLES, f"{name}.csv"))


def read_credit(name: str) -> dict[str, Any]:
    """24 numbers of each of 1,000 customers of a German bank and its label, 1 for a bad risk and -1 for a good one.

    Args:
        name: of the table; there is one.

    Raises:
        UserError: the file cannot be had.
    """
    rows = np.loadtxt(io.StringIO(fetch(GERMAN, "german.data-numeric").read_text()))
    features = {f"x{index + 1}": column for index, column in enumerate(rows[:, :-1].T)}
    return features | {"label": 2 * rows[:, -1] - 3}
