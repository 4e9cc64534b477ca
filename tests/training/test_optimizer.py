"""The optimiser: schedules and gradient clipping."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from pushforward.training import adam


def rates(optimizer, steps, gradient=1.0):
    """What each step subtracts for a constant gradient: Adam's rate itself."""
    parameters = jnp.zeros(())
    state = optimizer.init(parameters)
    for _ in range(steps):
        updates, state = optimizer.update(jnp.asarray(gradient), state, parameters)
        yield -float(updates)


SHAPES = {
    "constant": lambda t: np.ones_like(t),
    "linear": lambda t: 1 - t,
    "cosine": lambda t: (1 + np.cos(np.pi * t)) / 2,
}


@pytest.mark.parametrize("schedule", SHAPES)
def test_schedule(schedule):
    expected = 0.1 * SHAPES[schedule](np.arange(20) / 20)
    np.testing.assert_allclose(list(rates(adam(0.1, 20, schedule=schedule), 20)), expected, rtol=1e-4)


def test_no_steps_at_all():
    assert next(rates(adam(0.1, 0), 1)) == pytest.approx(0.1, rel=1e-4)


def moment(optimizer, gradient):
    """Adam's first moment after one step, which shows the gradient that reached it: 0.1 times it."""
    _, state = optimizer.update(gradient, optimizer.init(gradient), gradient)
    return ravel_pytree(optax.tree_utils.tree_get(state, "mu"))[0]


def test_gradient_clipping_bounds_the_global_norm():
    gradient = {"a": jnp.array([3.0, 0.0]), "b": jnp.array(-4.0)}
    clipped = moment(adam(0.1, 10, gradient_clip=1.0), gradient)
    np.testing.assert_allclose(clipped, [0.06, 0, -0.08], rtol=1e-5)
    for untouched in (adam(0.1, 10, gradient_clip=6.0), adam(0.1, 10)):
        np.testing.assert_allclose(moment(untouched, gradient), [0.3, 0, -0.4], rtol=1e-5)
