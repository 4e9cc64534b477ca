"""What the optimiser's trace says, against the same training step by step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pushforward.flows import real_nvp
from pushforward.objectives import ForwardKL
from pushforward.stability import parameter_groups, read_trace, traced
from pushforward.training import Checkpoints, adam, ensemble, fit, member
from tests.checks import assert_same

STEPS = 25
WINDOW = 10
ENDS = [10, 20, 25]
MASKS = {
    "a": {"x": jnp.array([True, True, False]), "y": jnp.array(False)},
    "b": {"x": jnp.array([False, False, True]), "y": jnp.array(True)},
}
MODELS = {"x": jnp.array([[1.0, -2.0, 3.0], [0.5, 0.1, -4.0]]), "y": jnp.array([2.0, -0.3])}


def bowl(model, key, step):
    return jnp.sum(jnp.array([1.0, 2.0, 4.0]) * model["x"] ** 2) / 2 + model["y"] ** 4


def optimizer(clip=1.0):
    return adam(0.1, STEPS, gradient_clip=clip)


def train(loss=bowl, models=MODELS, steps=STEPS, groups=MASKS, **options):
    wrapped = traced(optimizer(), groups, steps=STEPS, window=WINDOW)
    return fit(models, loss, key=jax.random.key(0), steps=steps, optimizer=wrapped, **options)


def step_by_step(model):
    """Mean absolute changes and norms of gradients of the two groups in every step."""
    plain = optimizer()
    state = plain.init(model)
    changes, norms = [], []
    for step in range(STEPS):
        gradient = jax.grad(bowl)(model, None, step)
        updates, state = plain.update(gradient, state, model)
        model = optax.apply_updates(model, updates)
        dx, dy, gx, gy = (np.asarray(leaf, np.float64) for leaf in (*updates.values(), *gradient.values()))
        changes.append([np.abs(dx[:2]).mean(), (abs(dx[2]) + abs(dy)) / 2])
        norms.append([np.hypot(*gx[:2]), np.hypot(gx[2], gy)])
    return np.array(changes), np.array(norms)


def windows(values):
    return np.array([values[start:end].mean(axis=0) for start, end in zip([0, *ENDS], ENDS)])


def test_means_over_windows():
    trace = read_trace(train().optimizer_state)
    np.testing.assert_array_equal(trace.steps, ENDS)
    for index in range(2):
        changes, norms = step_by_step(member(MODELS, index))
        for column, group in enumerate("ab"):
            np.testing.assert_allclose(trace.weight_change[group][index], windows(changes)[:, column], rtol=1e-4)
            np.testing.assert_allclose(trace.gradient_norm[group][index], windows(norms)[:, column], rtol=1e-4)


def test_tracing_changes_no_bit_of_the_training():
    plain = fit(MODELS, bowl, key=jax.random.key(0), steps=STEPS, optimizer=optimizer())
    assert_same(train().model, plain.model)


def test_a_resumed_run_has_the_trace_of_an_uninterrupted_one(tmp_path):
    train(steps=13, checkpoints=Checkpoints(tmp_path))
    resumed = train(checkpoints=Checkpoints(tmp_path))
    assert_same(resumed.optimizer_state, train().optimizer_state)


def test_a_member_that_diverged_has_no_steps_left():
    def breaks(model, key, step):
        return jnp.where((model["y"] < 0) & (step >= 13), jnp.nan, bowl(model, key, step))

    models = {**MODELS, "y": jnp.array([9.0, -9.0])}
    broken, whole = read_trace(train(breaks, models).optimizer_state), read_trace(train(bowl, models).optimizer_state)
    change, norm = broken.weight_change["b"], broken.gradient_norm["b"]
    np.testing.assert_array_equal(change[0], whole.weight_change["b"][0])
    np.testing.assert_array_equal(np.isnan(change), np.isnan(norm))
    np.testing.assert_array_equal(np.isnan(change), [[False] * 3, [False, False, True]])
    assert change[1, 0] == whole.weight_change["b"][1, 0]
    # Three steps of the second window, and not ten: Adam moves by about its rate in each.
    assert change[1, 1] > 0.3 * whole.weight_change["b"][1, 1]


@pytest.mark.slow
def test_the_groups_of_a_flow():
    models = ensemble(lambda key: real_nvp(key, 2, 2, width=3), jax.random.key(1), 2)
    data = jax.random.normal(jax.random.key(2), (64, 2))
    trace = read_trace(train(ForwardKL(data, 8), models, groups=parameter_groups(member(models, 0))).optimizer_state)
    for means in (trace.weight_change, trace.gradient_norm):
        assert set(means) == {"scale", "rest"}
        for values in means.values():
            assert values.shape == (2, 3)
            assert np.all(values > 0)


def test_an_empty_group():
    groups = {"none": jax.tree.map(jnp.zeros_like, MASKS["a"])}
    trace = read_trace(train(groups=groups).optimizer_state)
    np.testing.assert_array_equal(trace.weight_change["none"], 0)


@pytest.mark.parametrize(("steps", "window"), [(0, 1), (1, 0)])
def test_no_steps_are_an_error(steps, window):
    with pytest.raises(ValueError, match="must be positive"):
        traced(optimizer(), MASKS, steps=steps, window=window)
