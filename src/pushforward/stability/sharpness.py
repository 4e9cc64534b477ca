"""Sharpness: how much the loss can rise nearby."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

from pushforward.stability.groups import chosen_parameters, masked


@eqx.filter_jit
def sharpness(
    model: PyTree,
    loss: Callable[[Any], Float[Array, ""]],
    *,
    radius: float = 0.05,
    mask: PyTree | None = None,
) -> Float[Array, ""]:
    """`L(w + radius g / ||g||) - L(w)` in nats, with `g` the gradient of the loss `L` at the parameters `w`.

    The first-order solution of `max L(w + e) - L(w)` over `||e|| <= radius`: Foret et al., 2021, "Sharpness-Aware
    Minimization for Efficiently Improving Generalization", equations 1 and 2. It is a difference and not a ratio,
    since a loss in nats has no zero. Where the gradient vanishes it is 0, whatever the curvature.

    Args:
        model: one model, not an ensemble.
        loss: of a model, in nats, with data and key fixed, such as `objectives.HeldOut`.
        radius: of the ball, in the Euclidean norm of all parameters that move.
        mask: which parameters move, as from `parameter_groups`; all trained ones unless given.
    """
    value, gradient = eqx.filter_value_and_grad(loss)(model)
    gradient = masked(gradient, chosen_parameters(model, mask))
    norm = optax.tree.norm(gradient)
    length = jnp.where(norm > 0, radius / jnp.where(norm > 0, norm, 1), 0)
    risen: Float[Array, ""] = loss(eqx.apply_updates(model, jax.tree.map(lambda leaf: length * leaf, gradient)))
    return risen - value
