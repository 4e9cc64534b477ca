"""The ladder of a posterior as text."""

from typing import Any

from pushforward.drawing.text import DASH, number


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
