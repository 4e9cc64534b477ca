"""A simulator whose posterior has two crescents (Greenberg et al., 2019), with its prior."""

import jax
import jax.numpy as jnp

from pushforward.distributions import Uniform

prior = {"theta": Uniform(-jnp.ones(2), jnp.ones(2))}


def simulator(key, theta):
    key_angle, key_radius = jax.random.split(key)
    angle = jax.random.uniform(key_angle, minval=-jnp.pi / 2, maxval=jnp.pi / 2)
    radius = 0.1 + 0.01 * jax.random.normal(key_radius)
    crescent = jnp.array([radius * jnp.cos(angle) + 0.25, radius * jnp.sin(angle)])
    a, b = theta
    return crescent + jnp.array([-jnp.abs(a + b), b - a]) / jnp.sqrt(2)
