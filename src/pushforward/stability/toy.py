"""The scale term of a flow in one dimension: steep on one side of its optimum, flat on the other.

A map that scales one dimension by `v = exp(u)` on its way to a standard Normal base has the loss
`E[-log v + v^2 x^2 / 2]` in nats, a constant left out. With `m = E[x^2]` and the distance `e = u - u*` from the optimum
`u* = -log(m) / 2` it is `log(m) / 2 - e + exp(2 e) / 2`: right of the optimum it rises exponentially, left of it with a
slope of 1 at most.
"""

from typing import Any

import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float


def scale_loss(u: Float[Array, "*n"], second_moment: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """`-u + m exp(2 u) / 2`, in nats.

    Args:
        u: log scale.
        second_moment: `m`, the mean of the squares of the data: sigma^2 for N(0, sigma^2).
    """
    return -u + second_moment * jnp.exp(2 * u) / 2


def scale_optimum(second_moment: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The log scale of least loss, `-log(m) / 2`, where the loss is `(1 + log(m)) / 2`."""
    return -jnp.log(second_moment) / 2


def scale_gradient(u: Float[Array, "*n"], second_moment: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The derivative of the loss in `u`: `exp(2 e) - 1` at the distance `e` from the optimum.

    Args:
        u: log scale.
        second_moment: of the data.
    """
    return second_moment * jnp.exp(2 * u) - 1


def scale_curvature(u: Float[Array, "*n"], second_moment: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """The second derivative of the loss in `u`: `2 exp(2 e)` at the distance `e` from the optimum.

    Args:
        u: log scale.
        second_moment: of the data.
    """
    return 2 * second_moment * jnp.exp(2 * u)


def largest_stable_rate(u: Float[Array, "*n"], second_moment: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """2 over the curvature, `exp(-2 e)`: above it gradient descent on the parabola that touches the loss diverges.

    At the optimum it is 1 for every variance of the data.

    Args:
        u: log scale.
        second_moment: of the data.
    """
    return 2 / scale_curvature(u, second_moment)


def descend_scale(
    start: Float[Array, ""], second_moments: Float[Array, " steps"], rate: float
) -> Float[Array, " trajectory"]:
    """Log scales of gradient descent on the loss, the start first: `u - rate * gradient` in every step.

    Args:
        start: log scale.
        second_moments: of the batch of each step; all the same for the descent on the whole data.
        rate: the learning rate.
    """
    return minimise_scale(start, second_moments, optax.sgd(rate))


def minimise_scale(
    start: Float[Array, ""], second_moments: Float[Array, " steps"], optimizer: optax.GradientTransformation
) -> Float[Array, " trajectory"]:
    """Log scales that any optimiser, such as `training.adam`, goes through; the start first.

    Args:
        start: log scale.
        second_moments: of the batch of each step; all the same for the descent on the whole data.
        optimizer: an Optax transformation.
    """

    def step(carry: tuple[Array, Any], second_moment: Array) -> tuple[tuple[Array, Any], Array]:
        u, state = carry
        update, state = optimizer.update(scale_gradient(u, second_moment), state, u)
        return (u + update, state), u + update

    _, trajectory = lax.scan(step, (start, optimizer.init(start)), second_moments)
    return jnp.concatenate([start[None], trajectory])
