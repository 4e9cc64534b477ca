"""The optimisers: Adam and RMSprop with a learning-rate schedule and gradient clipping, from Optax."""

from typing import Literal

import jax.numpy as jnp
import optax
from jaxtyping import PyTree

Schedule = Literal["cosine", "constant", "linear"]


def adam(
    learning_rate: float,
    steps: int,
    *,
    schedule: Schedule = "cosine",
    gradient_clip: float = 0.0,
    weight_decay: float = 0.0,
    flat: bool = True,
) -> optax.GradientTransformation:
    """Adam whose rate goes from `learning_rate` to 0 over `steps` along `schedule`, or stays.

    Args:
        learning_rate: at the start.
        steps: over which it falls.
        schedule: how it falls.
        gradient_clip: bounds the global norm of each gradient; 0 leaves gradients alone.
        weight_decay: times the learning rate, the share of each parameter that a step takes away (Loshchilov & Hutter,
            2019, "Decoupled weight decay regularization").
        flat: work on one vector of all parameters: faster for many small arrays, slower for large ones.
    """
    rates = _rates(learning_rate, steps, schedule)
    transformation = optax.adamw(rates, weight_decay=weight_decay) if weight_decay else optax.adam(rates)
    return _optimizer(transformation, gradient_clip, flat)


def timed_adam(learning_rate: float, *, gradient_clip: float = 0.0) -> optax.GradientTransformation:
    """Adam whose rate `fit` lowers by the clock, where it is given seconds and not steps.

    Args:
        learning_rate: at the start.
        gradient_clip: bounds the global norm of each gradient; 0 leaves gradients alone.
    """
    return _optimizer(optax.inject_hyperparams(optax.adam)(learning_rate=learning_rate), gradient_clip, flat=True)


def cooled(optimizer: PyTree, factor: float) -> PyTree:
    """The state of `timed_adam`, of every member, with its rate lowered by a factor.

    Args:
        optimizer: the state.
        factor: below 1.
    """
    rate = optax.tree_utils.tree_get(optimizer, "learning_rate")
    return optax.tree_utils.tree_set(optimizer, learning_rate=rate * jnp.asarray(factor, rate.dtype))


def rmsprop(
    learning_rate: float,
    steps: int,
    *,
    schedule: Schedule = "constant",
    gradient_clip: float = 0.0,
    momentum: float = 0.9,
    flat: bool = True,
) -> optax.GradientTransformation:
    """RMSprop with momentum, as in R&M 2015, section 6.2.

    Args:
        learning_rate: at the start.
        steps: over which it falls, unless it stays.
        schedule: how it falls.
        gradient_clip: bounds the global norm of each gradient; 0 leaves gradients alone.
        momentum: share of the last update that the next one keeps.
        flat: work on one vector of all parameters: faster for many small arrays, slower for large ones.
    """
    return _optimizer(optax.rmsprop(_rates(learning_rate, steps, schedule), momentum=momentum), gradient_clip, flat)


def _rates(learning_rate: float, steps: int, schedule: Schedule) -> optax.Schedule:
    return {
        "cosine": optax.cosine_decay_schedule(learning_rate, max(steps, 1)),
        "linear": optax.linear_schedule(learning_rate, 0.0, max(steps, 1)),
        "constant": optax.constant_schedule(learning_rate),
    }[schedule]


def _optimizer(
    transformation: optax.GradientTransformation, gradient_clip: float, flat: bool
) -> optax.GradientTransformation:
    clip = optax.clip_by_global_norm(gradient_clip) if gradient_clip else optax.identity()
    chained = optax.chain(clip, transformation)
    return optax.flatten(chained) if flat else chained
