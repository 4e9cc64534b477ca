"""A posterior in the form that ArviZ reads."""

from pathlib import Path
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
import numpy as np

from pushforward.devices import double_precision
from pushforward.errors import imported
from pushforward.inference.summary import ARVIZ

if TYPE_CHECKING:
    from xarray import DataTree

    from pushforward.inference.posterior import Posterior

DRAWS = 4_000
PREDICTED = 1_000


def to_arviz(posterior: "Posterior") -> "DataTree":
    """The posterior as a DataTree of ArviZ 1.x.

    Args:
        posterior: what was fitted.
    """
    arviz_base = imported("arviz_base", ARVIZ)
    target, estimate = posterior.target, posterior.best.estimate
    if posterior.chains is None:
        order = np.random.default_rng(0).choice(len(posterior.weights), size=DRAWS, p=posterior.weights)
        coordinates = posterior.coordinates[order][None]
        stats = {"lp": posterior.log_p[order][None], "log_q": posterior.log_q[order][None]}
    else:
        coordinates = posterior.chains.coordinates
        stats = {"lp": posterior.chains.log_p, "diverging": posterior.chains.divergent}
    draws = posterior.constrained(coordinates)
    groups = {"posterior": draws, "sample_stats": stats}
    model = target.model
    if model is not None:
        with double_precision():
            latent = {each.name: jnp.asarray(draws[each.name]) for each in target.parameters}
            if model.log_likelihood is not None:
                each = jax.jit(jax.vmap(jax.vmap(model.log_likelihood)))(latent)
                groups["log_likelihood"] = {name: np.asarray(value) for name, value in each.items()}
            if model.predict is not None:
                keys = jax.random.split(jax.random.key(0), coordinates.shape[:2])
                some = jax.tree.map(lambda values: values[:, :PREDICTED], (keys, latent))
                predicted = jax.jit(jax.vmap(jax.vmap(model.predict)))(*some)
                groups["posterior_predictive"] = {name: np.asarray(value) for name, value in predicted.items()}
    if model is not None and model.observed:
        groups["observed_data"] = dict(model.observed)
    attributes = {
        "log_z": estimate.log_z,
        "log_z_std_error": estimate.log_z_std_error,
        "k_hat": np.nan if estimate.k_hat is None else estimate.k_hat,
        "ess_fraction": estimate.ess_fraction,
        "flow": posterior.best.name,
        "inference_library": "pushforward",
    }
    return arviz_base.from_dict(groups, name=Path(target.name).name, attrs={"posterior": attributes})
