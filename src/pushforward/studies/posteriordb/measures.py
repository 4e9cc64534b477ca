"""How far draws are from the reference draws of a posterior, and log Z where it is known in closed form."""

import math
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln
from scipy.stats import wasserstein_distance

from pushforward.inference.summary import columns
from pushforward.posteriors import load, reference_draws

Draws = dict[str, Float[np.ndarray, "n ..."]]
References = dict[str, Float[np.ndarray, "m ..."]]
ON_LOGS = {"one_comp_mm_elim_abs-one_comp_mm_elim_abs": ("K_m",)}
"""Numbers with the tails of Cauchy's law, whose moments no draws determine."""
FLAT = ("earnings-", "kidiq_with_mom_work-", "mesquite-", "nes")
"""Regressions with flat priors."""


def compared(name: str, draws: Draws, weights: Float[np.ndarray, " n"], reference: References) -> list[dict[str, Any]]:
    """Each number of a posterior against the reference draws.

    Args:
        name: of the posterior.
        draws: `(n, *shape)` by name.
        weights: of the draws; they sum to 1.
        reference: draws by name, which say what is compared.

    Returns:
        For each number its name, and in standard deviations of the reference: the error of its mean, its standard
        deviation, the Wasserstein distance of its marginal law.
    """
    found = []
    mine = columns({key: draws[key] for key in reference})
    for number, expected in columns(reference).items():
        x = mine[number]
        if number in ON_LOGS.get(name, ()):
            x, expected = np.log(x), np.log(expected)
        sd = expected.std(ddof=1)
        mean = float(weights @ x)
        found.append(
            {
                "number": number,
                "mean": (mean - float(expected.mean())) / sd,
                "sd": math.sqrt(float(weights @ (x - mean) ** 2)) / sd,
                "wasserstein": float(wasserstein_distance(x, expected, weights)) / sd,
            }
        )
    return found


def known_log_z(name: str) -> float | None:
    """Log Z of a linear regression with flat weights and a flat standard deviation, in nats; None of other posteriors.

    Args:
        name: of the posterior.
    """
    if not name.startswith(FLAT):
        return None
    from numpyro import handlers

    model, arguments = load(name)
    width = reference_draws(name)["beta"].shape[-1]

    def site(beta: Float[np.ndarray, " d"]) -> dict[str, Any]:
        given = handlers.substitute(model, data={"beta": beta, "sigma": 1.0})
        return handlers.trace(given).get_trace(**arguments)["y"]

    features = np.stack([np.asarray(site(row)["fn"].loc) for row in np.eye(width)], axis=-1)
    return _log_z(features, np.asarray(site(np.zeros(width))["value"]))


def _log_z(features: Float[np.ndarray, "n d"], y: Float[np.ndarray, " n"]) -> float:
    rows, width = features.shape
    weights, *_ = np.linalg.lstsq(features, y)
    residual = float(np.sum((y - features @ weights) ** 2))
    log_det = np.linalg.slogdet(features.T @ features)[1]
    left = rows - width - 1
    of_sigma = float(gammaln(left / 2)) - math.log(2) - left / 2 * math.log(residual / 2)
    return float(-(rows - width) / 2 * math.log(2 * math.pi) - log_det / 2 + of_sigma)
