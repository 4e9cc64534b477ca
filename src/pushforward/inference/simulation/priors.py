"""Priors of simulators: what parameters are drawn from, and the coordinates that flows move in."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections import Chain, OntoBox, Reshape
from pushforward.distributions import Distribution
from pushforward.errors import UserError, imported
from pushforward.supports import Support
from pushforward.targets import Target, cut_open, from_numpyro, from_tree
from pushforward.targets.base import Values
from pushforward.types import PRNGKeyArray


def prior(given: Any, *, name: str = "prior") -> Target:
    """A prior as a target: its density in unbounded coordinates, and draws from it by name.

    Args:
        given: by the names of the parameters, distributions of this package or of NumPyro; or a NumPyro model without
            arguments and data; or what this function has returned.
        name: what messages call it.

    Raises:
        UserError: it is none of these, or a NumPyro model has data.

    Example:
        >>> given = prior({"theta": distributions.Uniform(-jnp.ones(2), jnp.ones(2))})
        >>> given = prior({"rate": numpyro.distributions.LogNormal(0.0, 1.0)})
    """
    if isinstance(given, Target):
        if given.model is None or given.model.prior is None:
            raise UserError(
                f"{given.name} is a target without draws: a prior is a mapping of distributions, or a model"
            )
        return given
    if isinstance(given, Mapping):
        if not given:
            raise UserError(f"{name} has no parameters")
        ours = [isinstance(each, Distribution) for each in given.values()]
        return _of_ours(given, name) if all(ours) else _of_numpyro(partial(_sampled, given), name)
    if callable(given):
        return _of_numpyro(given, name)
    raise UserError(f"{name} is a {type(given).__name__}: give distributions by name, or a NumPyro model")


def _sampled(laws: Mapping[str, Any]) -> None:
    numpyro = imported("numpyro", "pip install 'pushforward[numpyro]'")
    for name, law in laws.items():
        if not isinstance(law, numpyro.distributions.Distribution):
            raise UserError(f"the prior of {name} is a {type(law).__name__}, no distribution")
        numpyro.sample(name, law)


def _of_numpyro(model: Callable[[], Any], name: str) -> Target:
    target = from_numpyro(model, name=name)
    if target.model is not None and target.model.observed:
        raise UserError(f"{name} observes {', '.join(target.model.observed)}: a prior has no data")
    return cut_open(target)


def _of_ours(laws: Mapping[str, Distribution], name: str) -> Target:
    supports = {key: Support(partial(_onto, law), _words(law)) for key, law in laws.items()}

    def log_density(values: Values) -> Float[Array, ""]:
        return jnp.sum(jnp.stack([law.log_prob(values[key]) for key, law in laws.items()]))

    def draw(key: PRNGKeyArray) -> Values:
        keys = jax.random.split(key, len(laws))
        return {name: law.sample(key) for key, (name, law) in zip(keys, laws.items())}

    target = from_tree(log_density, supports, name=name)
    assert target.model is not None
    return replace(target, model=replace(target.model, prior=draw, kind="prior"))


def _onto(law: Distribution) -> Chain:
    """From coordinates to where a distribution lies."""
    onto = OntoBox(law.support)
    size = 1
    for length in onto.shape:
        size *= length
    return Chain((Reshape((size,), onto.shape), onto))


def _words(law: Distribution) -> str:
    box = law.support
    low, high = float(jnp.min(box.low)), float(jnp.max(box.high))
    if jnp.isfinite(low) and jnp.isfinite(high):
        return f"in ({low:g}, {high:g})"
    return f"> {low:g}" if jnp.isfinite(low) else f"< {high:g}" if jnp.isfinite(high) else ""
