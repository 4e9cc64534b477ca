"""Posteriors by name, on which samplers are compared: those of posteriordb, and some of Bayesian learning.

The models are ours, in NumPyro (extra `numpyro`); the data are read as every data set is.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pushforward.errors import UserError, imported, nearest
from pushforward.posteriors.posteriordb import read_data, reference_draws
from pushforward.posteriors.tables import read_credit, read_table
from pushforward.targets import Target, from_numpyro
from pushforward.targets.numpyro import INSTALL


@dataclass(frozen=True)
class Named:
    """A posterior that has a name.

    Attributes:
        model: `module:function` of this package, a NumPyro model.
        summary: what it is, in a line.
        data: what its data are called.
        read: from there to the arguments of the model.
    """

    model: str
    summary: str
    data: str
    read: Callable[[str], dict[str, Any]]


MODELS = {
    "arK": ("series", "AR(5)", 7),
    "arma11": ("series", "ARMA(1, 1)", 4),
    "blr": ("regressions", "linear regression with Normal priors", 6),
    "diamonds": ("regressions", "log prices of 5,000 diamonds on 24 columns, two of them nearly alike", 26),
    "earn_height": ("regressions", "earnings on height", 3),
    "eight_schools_centered": ("hierarchies", "effects of coaching in eight schools (Rubin, 1981), a funnel", 10),
    "eight_schools_noncentered": ("hierarchies", "the same, of standardised effects", 10),
    "garch11": ("series", "GARCH(1, 1)", 4),
    "gp_pois_regr": ("processes", "counts of a Gaussian process, of standardised noise", 13),
    "gp_regr": ("processes", "Gaussian process regression on 11 points", 3),
    "hmm_drive_0": ("mixtures", "hidden Markov model of drives to the basket, exponential emissions", 6),
    "hmm_drive_1": ("mixtures", "hidden Markov model of drives to the basket, Normal emissions", 6),
    "hmm_example": ("mixtures", "hidden Markov model of two states", 4),
    "kidscore_interaction": ("regressions", "test scores on mother's schooling, IQ and their product", 5),
    "kidscore_interaction_c": ("regressions", "the same, columns centred", 5),
    "kidscore_interaction_c2": ("regressions", "the same, columns about reference points", 5),
    "kidscore_interaction_z": ("regressions", "the same, columns standardised", 5),
    "kidscore_mom_work": ("regressions", "test scores on mother's work", 5),
    "kidscore_momhs": ("regressions", "test scores on mother's schooling", 3),
    "kidscore_momhsiq": ("regressions", "test scores on mother's schooling and IQ", 4),
    "kidscore_momiq": ("regressions", "test scores on mother's IQ", 3),
    "kilpisjarvi": ("regressions", "summer temperatures of Kilpisjärvi on the year", 3),
    "log10earn_height": ("regressions", "log10 earnings on height", 3),
    "logearn_height": ("regressions", "log earnings on height", 3),
    "logearn_height_male": ("regressions", "log earnings on height and sex", 4),
    "logearn_interaction": ("regressions", "log earnings on height, sex and their product", 5),
    "logearn_interaction_z": ("regressions", "the same, height standardised", 5),
    "logearn_logheight_male": ("regressions", "log earnings on log height and sex", 4),
    "logmesquite": ("regressions", "log yield of mesquite bushes on the logs of five columns and the group", 8),
    "logmesquite_logva": ("regressions", "the same on log volume, log area and the group", 5),
    "logmesquite_logvas": ("regressions", "the same on logs of volume, area, shape, height, density", 8),
    "logmesquite_logvash": ("regressions", "the same on logs of volume, area, shape and height", 7),
    "logmesquite_logvolume": ("regressions", "the same on log volume", 3),
    "lotka_volterra": ("dynamics", "hares and lynxes by the equations of Lotka and Volterra", 8),
    "low_dim_gauss_mix": ("mixtures", "mixture of two Normals", 5),
    "mesquite": ("regressions", "yield of mesquite bushes on five columns and the group", 8),
    "nes": ("regressions", "party of American voters on eight columns", 10),
    "one_comp_mm_elim_abs": ("dynamics", "absorption and Michaelis-Menten elimination of a drug", 4),
}
"""Models of posteriordb: the module, a line, and the number of coordinates D."""

DATA = {
    "arK": ("arK",),
    "arma": ("arma11",),
    "bball_drive_event_0": ("hmm_drive_0",),
    "bball_drive_event_1": ("hmm_drive_1",),
    "diamonds": ("diamonds",),
    "earnings": tuple(name for name in MODELS if name == "earn_height" or "earn_" in name),
    "eight_schools": ("eight_schools_centered", "eight_schools_noncentered"),
    "garch": ("garch11",),
    "gp_pois_regr": ("gp_pois_regr", "gp_regr"),
    "hmm_example": ("hmm_example",),
    "hudson_lynx_hare": ("lotka_volterra",),
    "kidiq": ("kidscore_interaction", "kidscore_momhs", "kidscore_momhsiq", "kidscore_momiq"),
    "kidiq_with_mom_work": (
        "kidscore_interaction_c",
        "kidscore_interaction_c2",
        "kidscore_interaction_z",
        "kidscore_mom_work",
    ),
    "kilpisjarvi_mod": ("kilpisjarvi",),
    "low_dim_gauss_mix": ("low_dim_gauss_mix",),
    "mesquite": tuple(name for name in MODELS if "mesquite" in name),
    **{f"nes{year}": ("nes",) for year in range(1972, 2001, 4)},
    "one_comp_mm_elim_abs": ("one_comp_mm_elim_abs",),
    "sblrc": ("blr",),
    "sblri": ("blr",),
}
"""Data of posteriordb, and the models of each."""

POSTERIORDB = {
    f"{data}-{model}": Named(
        f"{MODELS[model][0]}:{model}", f"{MODELS[model][1]}, D = {MODELS[model][2]}", data, read_data
    )
    for data, models in DATA.items()
    for model in models
}
"""The posteriors of posteriordb that have reference draws, under its names."""

LEARNING = {
    "seeds": Named(
        "hierarchies:seeds", "germination of seeds with random effects (Crowder, 1978), D = 26", "seeds", read_table
    ),
    "brownian": Named("series:brownian", "Brownian motion, its middle not observed, D = 32", "brownian", read_table),
    "ionosphere": Named(
        "classifiers:logistic", "logistic regression of radar returns, D = 35", "ionosphere", read_table
    ),
    "sonar": Named("classifiers:logistic", "logistic regression of sonar returns, D = 61", "sonar", read_table),
    "credit": Named(
        "classifiers:logistic", "logistic regression of German credit, standardised, D = 25", "credit", read_credit
    ),
    "lgcp": Named(
        "processes:lgcp", "log-Gaussian Cox process of Finnish pines on a grid, D = 1,600", "pines", read_table
    ),
}
"""Posteriors of Bayesian learning, on which samplers are compared."""

POSTERIORS = LEARNING | POSTERIORDB


def make(name: str) -> Target:
    """The posterior called `name`.

    Args:
        name: one of `POSTERIORS`.

    Raises:
        UserError: there is no such posterior, NumPyro is not installed, or the data cannot be had.

    Example:
        >>> target = make("eight_schools-eight_schools_centered")
    """
    model, arguments = load(name)
    return from_numpyro(model, name=name, **arguments)


def load(name: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The NumPyro model of the posterior called `name`, and its arguments.

    Args:
        name: one of `POSTERIORS`.

    Raises:
        UserError: there is no such posterior, NumPyro is not installed, or the data cannot be had.
    """
    if name not in POSTERIORS:
        raise UserError(f"unknown posterior {name!r}{nearest(name, POSTERIORS)}")
    named = POSTERIORS[name]
    imported("numpyro", INSTALL)
    module, _, function = named.model.partition(":")
    return getattr(importlib.import_module(f"{__name__}.{module}"), function), named.read(named.data)


__all__ = ["LEARNING", "POSTERIORDB", "POSTERIORS", "Named", "load", "make", "reference_draws"]


def __dir__() -> list[str]:
    return __all__
