"""The optimiser: schedules and gradient clipping."""

import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.flatten_util import ravel_pytree

from pushforward.training import adam, rmsprop


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


PARAMETERS = {"a": jnp.array([2.0, -1.0]), "b": jnp.array(0.5)}
GRADIENTS = {"a": jnp.array([3.0, 0.5]), "b": jnp.array(-4.0)}


def after(optimizer, steps=3):
    """The parameters after a few steps of a constant gradient."""
    parameters, state = PARAMETERS, optimizer.init(PARAMETERS)
    for _ in range(steps):
        updates, state = optimizer.update(GRADIENTS, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
    return ravel_pytree(parameters)[0]


@pytest.mark.parametrize("make", [adam, rmsprop])
def test_one_vector_or_many_arrays_are_the_same(make):
    options = {"schedule": "linear", "gradient_clip": 2.0}
    np.testing.assert_allclose(after(make(0.1, 10, **options)), after(make(0.1, 10, flat=False, **options)), rtol=1e-6)


def test_weight_decay_takes_a_share_of_the_weights_away():
    decayed = adam(0.1, 10, schedule="constant", weight_decay=0.5)
    np.testing.assert_allclose(
        after(decayed, 1), after(adam(0.1, 10), 1) - 0.05 * ravel_pytree(PARAMETERS)[0], rtol=1e-5
    )


def test_rmsprop_has_the_momentum_of_the_paper():
    expected = optax.rmsprop(0.01, momentum=0.9)
    np.testing.assert_allclose(after(rmsprop(0.01, 10)), after(expected), rtol=1e-6)
