"""Conditional flows, from the settings and the data."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp

from pushforward.bijections import PartialExp
from pushforward.conditional import amortize, condition, has_networks
from pushforward.contexts import Encoder, Regression, Standardised
from pushforward.data import Dataset
from pushforward.errors import UserError
from pushforward.experiments.flows import make_flow
from pushforward.experiments.train.config import ConditionalConfig, chosen
from pushforward.experiments.train.models import base_of, no_units, units_of
from pushforward.training import ensemble
from pushforward.types import PRNGKeyArray


def make_ensemble(
    config: ConditionalConfig,
    dim: int,
    columns: Sequence[str],
    categories: Sequence[Sequence[str]],
    logged: tuple[bool, ...],
) -> Standardised:
    """The untrained models of all restarts, along a leading axis, before they have seen data.

    Args:
        config: the settings.
        dim: numbers of a row.
        columns: what the entries of a context are called.
        categories: of each of them; none of a number.
        logged: the numbers of which the flow learns the logarithm.

    Raises:
        UserError: the flow has no networks that could see a context, and nothing else is asked for.
    """

    def make(key: PRNGKeyArray) -> Standardised:
        key_flow, key_context = jax.random.split(key)
        encoder = Encoder.of(columns, categories)
        flow = make_flow(config, (dim,), key_flow, base_of(config, dim), "density")
        networks = has_networks(flow)
        if config.conditioning == "condition" and not networks:
            raise UserError(f"{config.flow} has no networks that could see a context; use --conditioning amortize")
        see = networks if config.conditioning is None else config.conditioning == "condition"
        of_contexts = condition(flow, key_context, encoder.size) if see else amortize(flow, key_context, encoder.size)
        outer = PartialExp(logged) if any(logged) else None
        return Standardised(encoder, of_contexts, jnp.zeros((dim, encoder.size)), no_units(config, dim), outer)

    return ensemble(make, jax.random.fold_in(jax.random.key(config.seed), 0), config.restarts)


def calibrated(models: Standardised, config: ConditionalConfig, found: Regression, left: Dataset) -> Standardised:
    """An ensemble that starts at the linear regression of the training rows on their contexts.

    Args:
        models: untrained.
        config: their settings.
        found: the regression.
        left: its residuals.
    """
    robust = chosen("base", config.base) == "student-t"
    units = units_of(left, whitened=config.start == "whitened", robust=robust)

    def calibrate(model: Standardised) -> Standardised:
        return Standardised(found.encoder, model.flow, jnp.asarray(found.slope, float), units, model.outer)

    return eqx.filter_vmap(calibrate)(models)
