"""Data and reference draws of posteriordb (Magnusson et al., 2025, "posteriordb: testing, benchmarking and developing
Bayesian inference algorithms")."""

import json
import zipfile
from typing import Any

import numpy as np
from jaxtyping import Float

from pushforward.data.downloads import Source, fetch
from pushforward.errors import UserError
from pushforward.posteriors.hashes import DATA, DRAWS

FOLDER = "posteriordb/posterior_database"
MIRROR = "https://raw.githubusercontent.com/stan-dev/posteriordb/master/posterior_database/"
SOURCE = Source(
    FOLDER,
    (MIRROR,),
    {f"data/data/{name}.json.zip": sha256 for name, sha256 in DATA.items()}
    | {f"reference_posteriors/draws/draws/{name}.json.zip": sha256 for name, sha256 in DRAWS.items()},
)
REFERENCES = {"eight_schools-eight_schools_centered": "eight_schools-eight_schools_noncentered"}
"""Posteriors whose reference draws are those of another one."""


def read_data(name: str) -> dict[str, Any]:
    """The data of posteriordb by name: numbers, and arrays in double precision.

    Args:
        name: of the data.

    Raises:
        UserError: the file cannot be had.
    """
    values = _read(f"data/data/{name}.json.zip")
    return {key: np.asarray(value, float) if isinstance(value, list) else value for key, value in values.items()}


def reference_draws(posterior: str) -> dict[str, Float[np.ndarray, "chains n ..."]]:
    """The reference draws of a posterior: `(10, 1000, *shape)` of each parameter by name.

    They are of chains of NUTS thinned until nearly independent, as posteriordb has them.

    Args:
        posterior: one of `POSTERIORS` that posteriordb has.

    Raises:
        UserError: there are none, or the file cannot be had.
    """
    name = REFERENCES.get(posterior, posterior)
    if name not in DRAWS:
        raise UserError(f"there are no reference draws of {posterior}")
    chains = _read(f"reference_posteriors/draws/draws/{name}.json.zip")
    columns = {key: np.array([chain[key] for chain in chains]) for key in chains[0]}
    draws: dict[str, Any] = {}
    for key, values in columns.items():
        parameter, indexed, _ = key.partition("[")
        draws.setdefault(parameter, []).append(values) if indexed else draws.update({parameter: values})
    return {key: np.stack(values, axis=-1) if isinstance(values, list) else values for key, values in draws.items()}


def _read(file: str) -> Any:
    with zipfile.ZipFile(fetch(SOURCE, file)) as archive:
        return json.loads(archive.read(archive.namelist()[0]))
