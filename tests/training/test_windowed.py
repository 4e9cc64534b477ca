"""Training on data that are seen through windows."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pushforward import flows
from pushforward.data import Windows
from pushforward.objectives import ForwardKL, Windowed
from pushforward.training import Checkpoints, Interrupted, adam, ensemble, fit
from tests.checks import assert_same

STEPS = 40
ROWS = np.random.default_rng(0).normal(size=(6 * 1024, 2)).astype(np.float32)


def train(loss, steps=STEPS, **options):
    models = ensemble(lambda key: flows.maf(key, 2, 2, width=8), jax.random.key(1), 2)
    return fit(models, loss, key=jax.random.key(0), steps=steps, optimizer=adam(1e-2, STEPS), **options)


def windowed(numbers=2 * 1024 * 2, steps=7):
    windows = Windows(ROWS, range(2), numbers=numbers)
    return Windowed(lambda number: ForwardKL(jnp.asarray(windows(number)[0]), 32), steps)


def number_of_window(number):
    """A loss that is the number of the window."""
    return jax.tree_util.Partial(_number, jnp.asarray(float(number)))


def _number(data, model, key, step):
    return data + sum(0 * leaf.sum() for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))


@pytest.mark.parametrize("steps", [1, 4, 7, 100])
def test_every_step_sees_its_own_window(steps):
    found = train(Windowed(number_of_window, steps), record_every=1)
    assert [record.loss[0] for record in found.records] == [step // steps for step in range(STEPS)]


def test_a_window_of_all_rows_is_the_plain_loss():
    windows = Windows(ROWS, range(2))
    plain = train(ForwardKL(jnp.asarray(windows(0)[0]), 32))
    seen = train(Windowed(lambda _: ForwardKL(jnp.asarray(windows(0)[0]), 32), 9))
    assert_same(seen.model, plain.model)


def test_resumed_equals_uninterrupted(tmp_path):
    whole = train(windowed())

    def stop(step, loss):
        if step > 17:
            raise Interrupted

    with pytest.raises(Interrupted):
        train(windowed(), checkpoints=Checkpoints(tmp_path, every_seconds=0), on_progress=stop)
    assert 0 < Checkpoints(tmp_path).steps()[-1] < STEPS
    assert_same(train(windowed(), checkpoints=Checkpoints(tmp_path)).model, whole.model)


def test_a_window_that_cannot_be_read_ends_training():
    def read(number):
        if number == 2:
            raise OSError("the disk is gone")
        return ForwardKL(jnp.asarray(ROWS), 32)

    with pytest.raises(OSError, match="the disk is gone"):
        train(Windowed(read, 7))


def test_steps_must_be_positive():
    with pytest.raises(ValueError, match="steps must be 1 or more"):
        windowed(steps=0)
