"""The numbers of a posterior as text."""

from collections.abc import Mapping
from typing import Any

from pushforward.drawing.text import DASH, number

COLUMNS = ("", "mean", "± MC", "sd", "± MC", "5%", "± MC", "95%", "± MC")
VALUES = ("mean", "sd", "low", "high")


def cells(row: Mapping[str, Any]) -> list[str]:
    """A line of the table: the name, then each number and its Monte Carlo error."""
    texts = [row["name"]]
    for name in VALUES:
        value, error = row[name], row[f"{name}_error"]
        texts += [number(value, error) or DASH, DASH if error is None else f"{error:.2g}"]
    return [text.split(" ± ")[0] for text in texts]


def rungs(ladder: list[dict[str, Any]]) -> list[list[str]]:
    """A line for each rung: its name, ELBO, log Z, ESS, k-hat, and the seconds since the start."""
    return [
        [
            rung["name"],
            number(rung["elbo"], rung["elbo_std_error"]) or DASH,
            number(rung["log_z"], rung["log_z_std_error"]) or DASH,
            f"{rung['ess_fraction']:.1%}",
            DASH if rung["k_hat"] is None else f"{rung['k_hat']:.2f}",
            f"{rung['seconds']:.0f}",
        ]
        for rung in ladder
    ]
