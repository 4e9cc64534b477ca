"""Flows from the settings of an experiment."""

import inspect
from dataclasses import asdict
from typing import Any

import numpy as np

from pushforward import flows
from pushforward.distributions import Distribution, Pushforward
from pushforward.errors import UserError, nearest
from pushforward.experiments.config import FlowConfig
from pushforward.types import PRNGKeyArray


def make_flow(
    config: FlowConfig, shape: tuple[int, ...], key: PRNGKeyArray, base: Distribution, fast: flows.Fast
) -> Pushforward:
    """An untrained flow of samples of one shape, flattened unless the family is for images.

    Raises:
        UserError: the family is unknown, does not exist in this shape, or a setting does not suit the shape.
    """
    if config.flow not in flows.RECIPES:
        raise UserError(f"unknown flow {config.flow!r}{nearest(config.flow, flows.RECIPES)}")
    recipe = flows.RECIPES[config.flow]
    known = inspect.signature(recipe).parameters
    options: dict[str, Any] = asdict(config.settings)
    if "fast" in known:
        options["fast"] = fast
    if "shape" not in known:
        size: Any = int(np.prod(shape))
    elif len(shape) == 3:
        size = shape
    else:
        raise UserError(f"{config.flow} is for images (H, W, C), not for samples of shape {shape}")
    try:
        return recipe(key, size, config.length, base=base, **options)
    except ValueError as error:
        raise UserError(str(error)) from error
