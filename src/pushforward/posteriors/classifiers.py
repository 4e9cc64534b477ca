"""Logistic regressions."""

from typing import Any

import numpy as np
import numpyro
import numpyro.distributions as dist

from pushforward.posteriors.base import Column


def logistic(label: Column, **features: Any) -> None:
    """Of a label, -1 or 1, on a constant and columns standardised by their moments; weights N(0, I)."""
    x = np.stack(list(features.values()), axis=-1)
    scale = x.std(axis=0)
    x = np.column_stack([np.ones(len(x)), (x - x.mean(axis=0)) / np.where(scale > 0, scale, 1)])
    weights = numpyro.sample("w", dist.Normal(0, 1).expand([x.shape[1]]).to_event(1))
    numpyro.sample("label", dist.Bernoulli(logits=x @ weights), obs=(label + 1) / 2)
