"""Several devices share the members and the batches of training: the same numbers but for rounding."""

import re
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pushforward import flows
from pushforward.errors import UserError
from pushforward.objectives import Annealed, ForwardKL, HeldOut, free_energy
from pushforward.targets import make
from pushforward.training import Checkpoints, adam, ensemble, fit
from pushforward.training.members import Devices
from pushforward.training.state import Problem, split_model
from tests.checks import assert_same

STEPS = 12
ROWS = jax.random.normal(jax.random.key(5), (300, 2)) * jnp.array([[0.5, 2.0]])


U2 = make("u2")


def reverse(flow, key, step):
    return free_energy(flow, U2.log_densities, key, 32)


LOSSES = {
    "reverse KL": reverse,
    "forward KL": ForwardKL(ROWS, 32),
    "annealed": Annealed(U2.log_density, "forward-kl", 16, length=2),
}


def trained(loss, members=1, family="planar", **options):
    models = ensemble(lambda key: flows.RECIPES[family](key, 2, 2), jax.random.key(0), members)
    options = {"steps": STEPS, "record_every": 4, "optimizer": adam(1e-2, STEPS)} | options
    return fit(models, loss, key=jax.random.key(1), **options)


def losses(fitted):
    return np.array([record.loss for record in fitted.records])


@pytest.mark.parametrize("name", LOSSES)
def test_a_batch_that_two_devices_divide_gives_the_same_losses(name):
    one, two = (trained(LOSSES[name], devices=devices) for devices in (1, 2))
    np.testing.assert_allclose(losses(one), losses(two), rtol=2e-5)


def test_the_rows_of_a_batch_are_divided():
    """No array of the compiled step but the indices and the noise of the batch has all of its rows."""

    def rows(devices):
        parameters, fixed, static = split_model(ensemble(lambda key: flows.maf(key, 2, 2), jax.random.key(0), 1))
        sharing, problem = Devices.of(1, devices), Problem(static, ForwardKL(ROWS, 32), adam(1e-2, STEPS), None)
        keys = jax.device_put(jax.random.split(jax.random.key(0), 1), sharing.split)
        state = sharing.divided(partial(problem.start, validated=False), parameters, fixed, keys)
        run = sharing.compile(Problem.advance, problem, split=2, scalars=2)
        shapes = re.findall(r"f32\[(\d+),\d+\]", run.function.lower(run.arrays, state, keys, 0, 1).compile().as_text())
        return shapes.count("32"), shapes.count("16")

    whole, divided = rows(1), rows(2)
    assert whole[0] > 100
    assert divided[0] < whole[0] / 20
    assert divided[1] > whole[0] / 2


@pytest.mark.parametrize("family", ["maf", "continuous"])
def test_validation_and_best_steps_are_the_same(family):
    loss, validate = ForwardKL(ROWS, 32), HeldOut(ROWS[:100])
    one, two = (trained(loss, family=family, validate=validate, devices=devices) for devices in (1, 2))
    np.testing.assert_allclose(one.best_losses, two.best_losses, rtol=1e-4)
    np.testing.assert_array_equal(one.best_steps, two.best_steps)


@pytest.mark.parametrize("devices", [3, 0, -1])
def test_devices_that_are_not_there_are_refused(devices):
    with pytest.raises(UserError, match=f"{devices} devices are asked for, and there are 2"):
        trained(reverse, devices=devices)


def test_no_part_of_a_batch_is_refused():
    with pytest.raises(ValueError, match="accumulate must be 1 or more, got 0"):
        trained(reverse, accumulate=0)


def test_a_checkpoint_goes_on_with_another_number_of_devices(tmp_path):
    whole = trained(reverse, devices=1)
    trained(reverse, devices=2, steps=8, checkpoints=Checkpoints(tmp_path))
    resumed = trained(reverse, devices=1, checkpoints=Checkpoints(tmp_path))
    np.testing.assert_allclose(losses(whole)[-1], losses(resumed)[-1], rtol=1e-4)


GRID = """
import sys
import jax
jax.config.update("jax_num_cpu_devices", 4)
import numpy as np
from tests.training.test_devices import LOSSES, losses, trained
for devices in (1, 4):
    print(*losses(trained(LOSSES["forward KL"], members=2, devices=devices)).ravel())
"""


@pytest.mark.slow
def test_restarts_and_batches_are_divided_at_once():
    """Two members on four devices: two for each."""
    done = subprocess.run([sys.executable, "-c", GRID], capture_output=True, text=True, check=True)
    one, four = (np.array(line.split(), float) for line in done.stdout.splitlines())
    np.testing.assert_allclose(one, four, rtol=2e-5)


def test_gradients_of_parts_are_averaged():
    """Of a loss whose gradient is its key's number: a step of plain descent moves by the mean over the parts."""

    def loss(model, key, step):
        return model["x"][0] * jax.random.normal(key)

    def moved(parts):
        models = ensemble(lambda key: {"x": jnp.zeros(1)}, jax.random.key(0), 1)
        return fit(models, loss, key=jax.random.key(3), steps=1, optimizer=optax.sgd(1.0), accumulate=parts).model["x"]

    key = jax.random.fold_in(jax.random.split(jax.random.key(3), 1)[0], 0)
    np.testing.assert_allclose(moved(1)[0, 0], -jax.random.normal(key), rtol=1e-6)
    mean = np.mean([jax.random.normal(each) for each in jax.random.split(key, 4)])
    np.testing.assert_allclose(moved(4)[0, 0], -mean, rtol=1e-6)


def test_parts_keep_the_memory_of_a_loss():
    """Twice as many chains refill the buffer, and training does not depend on how it is cut."""
    whole = trained(LOSSES["annealed"], accumulate=2, record_every=12)
    cut = trained(LOSSES["annealed"], accumulate=2, record_every=3)
    assert_same(whole.model, cut.model)
