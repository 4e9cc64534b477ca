"""A direction measured with noise, whose posterior crosses the end of the circle."""

import jax.numpy as jnp

from pushforward import supports, targets

MEASURED = jnp.array([3.0, -3.1, 2.9, -2.8, 3.1])


def log_density(parameters):
    precision = parameters["precision"]
    spread = jnp.sum(jnp.cos(MEASURED - parameters["direction"]) - 1)
    return precision * spread + 2.5 * jnp.log(precision) - precision


target = targets.from_tree(log_density, {"direction": supports.circle(), "precision": supports.positive()})
