"""The training loop: reproducible, resumable, and never silent about what is not finite."""

import os
import signal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jaxtyping import Array
from threadpoolctl import threadpool_info, threadpool_limits

from pushforward.flows import planar
from pushforward.objectives import free_energy
from pushforward.targets import make
from pushforward.training import (
    CheckpointError,
    Checkpoints,
    Diverged,
    Divergence,
    Interrupted,
    adam,
    ensemble,
    fit,
    member,
    restore_models,
    timed_adam,
)
from tests.checks import assert_finite, assert_same, floating_leaves

STEPS = 60


def small_flow():
    """Planar flows of 2 layers on u2."""
    target = make("u2")

    def loss(flow, key, step):
        return free_energy(flow, target.log_densities, key, 16)

    return (lambda key: planar(key, 2, 2)), loss


def noisy_bowl():
    """A parabola whose centre is shaken anew at each step: as random as a flow, and quick to compile."""

    def loss(model, key, step):
        return jnp.sum((model["x"] - 1 + 0.1 * jax.random.normal(key, (3,))) ** 2) * model["weight"]

    return (lambda key: {"x": jax.random.normal(key, (3,)), "weight": jnp.asarray(2)}), loss


def train(problem=noisy_bowl, members=2, seed=0, steps=STEPS, **options):
    make_model, loss = problem()
    models = ensemble(make_model, jax.random.key(1), members)
    return fit(models, loss, key=jax.random.key(seed), steps=steps, optimizer=adam(1e-2, steps), **options)


every_problem = pytest.mark.parametrize("problem", [small_flow, noisy_bowl])


def losses(fitted):
    return np.array([record.loss for record in fitted.records])


def test_loss_falls():
    fitted = train(small_flow, steps=400, record_every=100)
    assert [record.step for record in fitted.records] == [100, 200, 300, 400]
    assert np.all(losses(fitted)[-1] < losses(fitted)[0] - 0.5)
    assert fitted.divergences == [None, None]
    assert repr(fitted) == "Fit(2 members, 400 steps, 0 diverged)"
    members = len(fitted.divergences)
    assert fitted.steps_per_second == pytest.approx(members * fitted.steps / fitted.records[-1].seconds)


def test_same_key_same_result_and_another_key_another():
    first, again, other = train(), train(), train(seed=1)
    assert_same(first.model, again.model)
    np.testing.assert_array_equal(losses(first), losses(again))
    assert jnp.all(first.model["x"] != other.model["x"])


@pytest.mark.parametrize("members", [1, 3])
def test_any_number_of_members(members):
    """Of the two devices one is used for 1 and for 3; each member is what it is among others."""
    fitted = train(members=members, record_every=20)
    assert losses(fitted).shape == (3, members)
    assert len(np.unique(fitted.model["x"])) == 3 * members
    assert_finite(fitted.model)


@pytest.mark.parametrize("members", [3, 4])
def test_members_in_turn_are_those_side_by_side(members, monkeypatch):
    """On CPUs members take turns, elsewhere they go side by side: the same but for rounding, with validation too."""
    target = make("u2")
    options = {"members": members, "steps": 20, "record_every": 5}
    options["validate"] = lambda flow: free_energy(flow, target.log_densities, jax.random.key(7), 64)
    in_turn = train(small_flow, **options)
    monkeypatch.setattr("pushforward.training.members._side_by_side", lambda members: True)
    side_by_side = train(small_flow, **options)
    np.testing.assert_allclose(losses(in_turn), losses(side_by_side), rtol=1e-4)
    np.testing.assert_array_equal(in_turn.best_steps, side_by_side.best_steps)
    for (path, leaf), (_, other) in zip(floating_leaves(in_turn.model), floating_leaves(side_by_side.model)):
        np.testing.assert_allclose(leaf, other, rtol=1e-4, atol=1e-5, err_msg=path)


def test_member_is_one_model():
    models = ensemble(lambda key: planar(key, 2, 2), jax.random.key(0), 3)
    model = member(models, 1)
    assert model.bijection.layers.w.shape == (2, 2)
    np.testing.assert_array_equal(model.bijection.layers.w, models.bijection.layers.w[1])
    assert model.sample(jax.random.key(0), (4,)).shape == (4, 2)


def test_ensemble_members_start_apart():
    models = ensemble(lambda key: planar(key, 2, 2), jax.random.key(0), 3)
    alone = planar(jax.random.split(jax.random.key(0), 3)[2], 2, 2)
    assert_same(member(models, 2), alone)
    assert len(np.unique(models.bijection.layers.w)) == 12


def test_the_callers_models_are_not_consumed():
    make_model, loss = noisy_bowl()
    models = ensemble(make_model, jax.random.key(0), 2)
    before = jax.tree.map(np.asarray, models)
    fitted = fit(models, loss, key=jax.random.key(0), steps=3, optimizer=adam(0.1, 3))
    assert_same(models, before)
    assert jnp.all(fitted.model["x"] != models["x"])
    np.testing.assert_array_equal(fitted.model["weight"], [2, 2])


@pytest.mark.slow
@every_problem
def test_nothing_depends_on_the_chunks(problem, tmp_path):
    whole = train(problem, record_every=STEPS)
    cut = train(problem, record_every=7, checkpoints=Checkpoints(tmp_path / "cut", keep=[5, 33]))
    assert_same(whole.model, cut.model)
    assert [record.step for record in cut.records] == [7, 14, 21, 28, 35, 42, 49, 56, 60]
    lengths = np.diff([0, *(record.step for record in cut.records)])
    np.testing.assert_allclose(lengths @ losses(cut) / STEPS, losses(whole)[0], rtol=1e-5)


@pytest.mark.parametrize(
    ("problem", "number", "at"),
    [(small_flow, signal.SIGINT, 25), (noisy_bowl, signal.SIGINT, 1), (noisy_bowl, signal.SIGTERM, 40)],
)
def test_interrupted_and_resumed_equals_uninterrupted(problem, number, at, tmp_path):
    raised = []

    def interrupt(step, loss):
        if step >= at and not raised:
            raised.append(step)
            signal.raise_signal(number)

    handler = signal.getsignal(number)
    checkpoints = Checkpoints(tmp_path / "run", every_seconds=1e6)
    with pytest.raises(Interrupted, match=f"of {STEPS}"):
        train(problem, record_every=20, checkpoints=checkpoints, on_progress=interrupt)
    assert signal.getsignal(number) == handler
    assert checkpoints.steps() == raised
    assert at <= raised[0] < STEPS

    resumed = train(problem, record_every=20, checkpoints=Checkpoints(tmp_path / "run"))
    whole = train(problem, record_every=20)
    assert_same(resumed.model, whole.model)
    np.testing.assert_array_equal(losses(resumed), losses(whole)[-len(resumed.records) :])
    assert checkpoints.steps() == [STEPS]


def test_a_finished_run_is_only_read(tmp_path):
    done = train(checkpoints=Checkpoints(tmp_path / "run"))
    again = train(checkpoints=Checkpoints(tmp_path / "run"))
    assert_same(again.model, done.model)
    assert again.records == []
    assert again.steps_per_second is None


def test_the_checkpoint_of_another_model_is_refused(tmp_path):
    train(members=2, checkpoints=Checkpoints(tmp_path / "run"))
    with pytest.raises(CheckpointError, match=r"another model: .*\['x'\] has shape \(2, 3\).*not shape \(1, 3\)"):
        train(members=1, checkpoints=Checkpoints(tmp_path / "run"))


def test_kept_checkpoints_are_the_states_of_shorter_runs(tmp_path):
    checkpoints = Checkpoints(tmp_path / "run", keep=[0, 13, 40])
    train(checkpoints=checkpoints)
    assert checkpoints.steps() == [13, 40, STEPS]


def bowl(bad):
    """An ensemble whose members with `bad` 1 meet NaN at step 7."""
    members = len(bad)
    return {"bad": jnp.asarray(bad), "x": jnp.arange(1.0, members + 1), "y": jnp.ones(members)}


def breaking_loss(model, key, step):
    """NaN in the value and in the gradient of `y`, for bad members, at step 7."""
    broken = (step == 7) & (model["bad"] == 1)
    return model["x"] ** 2 + model["y"] * jnp.where(broken, jnp.nan, 1.0)


def lost_loss(model, key, step):
    """Infinite in the value only, for bad members, at step 7."""
    return model["x"] ** 2 + jnp.where((step == 7) & (model["bad"] == 1), jnp.inf, 0.0)


def descend(bad, loss=breaking_loss, steps=30, **options):
    return fit(bowl(bad), loss, key=jax.random.key(0), steps=steps, optimizer=adam(0.1, 30), record_every=5, **options)


@pytest.mark.parametrize(("loss", "leaf"), [(breaking_loss, "['y']"), (lost_loss, "loss")])
def test_a_diverged_member_keeps_its_last_good_parameters(loss, leaf):
    fitted, healthy, short = descend([0, 1, 0], loss), descend([0, 0, 0], loss), descend([0, 0, 0], loss, steps=7)
    assert fitted.divergences == [None, Divergence(7, leaf), None]
    for name in ("x", "y"):
        np.testing.assert_array_equal(fitted.model[name][::2], healthy.model[name][::2])
        np.testing.assert_array_equal(fitted.model[name][1], short.model[name][1])
    gone = np.isnan(losses(fitted))
    np.testing.assert_array_equal(gone[:, 1], [record.step > 7 for record in fitted.records])
    assert not np.any(gone[:, ::2])


def test_divergence_is_told_after_resuming(tmp_path):
    def stop(step, loss):
        if step == 20:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted):
        descend([0, 1], checkpoints=Checkpoints(tmp_path / "run"), on_progress=stop)
    assert descend([0, 1], checkpoints=Checkpoints(tmp_path / "run")).divergences == [None, Divergence(7, "['y']")]


def test_all_diverged_says_where_and_what_is_left(tmp_path):
    with pytest.raises(Diverged, match=r"not finite at step 7, first in \['y'\]; no checkpoint was kept"):
        descend([1, 1])
    with pytest.raises(Diverged, match=r"at step 7, first in \['y'\]; there is no checkpoint"):
        descend([1], checkpoints=Checkpoints(tmp_path / "none"))
    with pytest.raises(Diverged, match=r"at step 7, first in loss; the last good checkpoint is .*run/5$"):
        descend([1, 1], lost_loss, checkpoints=Checkpoints(tmp_path / "run", keep=[5]))


def test_an_error_while_recording_leaves_the_checkpoint_and_the_signals(tmp_path):
    handler = signal.getsignal(signal.SIGINT)

    def fail(record):
        if record.step == 40:
            raise RuntimeError("disk of the metrics is full")

    with pytest.raises(RuntimeError, match="metrics"):
        train(record_every=20, checkpoints=Checkpoints(tmp_path / "run", keep=[20]), on_record=fail)
    assert signal.getsignal(signal.SIGINT) == handler
    assert Checkpoints(tmp_path / "run").steps() == [20]
    assert_same(train(record_every=20, checkpoints=Checkpoints(tmp_path / "run")).model, train(record_every=20).model)


class Towards(eqx.Module):
    """`(x - aim)^2` with the aim as data: a loss that is a pytree."""

    aim: Array

    def __call__(self, model, key, step):
        return jnp.sum((model["x"] - self.aim) ** 2)


class Distance(eqx.Module):
    """A validation loss that is lowest half way."""

    aim: Array

    def __call__(self, model):
        return jnp.sum((model["x"] - self.aim / 2) ** 2)


def validated(tmp_path=None, steps=400, patience=None, members=2, **options):
    models = ensemble(lambda key: {"x": jnp.zeros(3)}, jax.random.key(1), members)
    return fit(
        models,
        Towards(jnp.ones(3)),
        key=jax.random.key(0),
        steps=steps,
        optimizer=optax.sgd(0.01),
        record_every=10,
        validate=Distance(jnp.ones(3)),
        patience=patience,
        checkpoints=None if tmp_path is None else Checkpoints(tmp_path),
        **options,
    )


@pytest.mark.parametrize("members", [1, 2])
def test_the_best_step_by_validation_is_kept(members):
    fitted = validated(members=members)
    curve = np.array([record.validation[0] for record in fitted.records])
    best = fitted.records[int(np.argmin(curve))]
    np.testing.assert_array_equal(fitted.best_steps, best.step)
    np.testing.assert_array_equal(fitted.best_losses, curve.min())
    assert 0 < best.step < 100
    expected = 1 - 0.98**best.step
    np.testing.assert_allclose(fitted.model["x"], expected, rtol=1e-4)


def test_training_stops_when_patience_ends():
    whole, stopped = validated(), validated(patience=50)
    assert stopped.steps == stopped.best_steps[0] + 60
    np.testing.assert_array_equal(stopped.best_losses, whole.best_losses)
    assert_same(stopped.model, whole.model)


def test_early_stopping_survives_an_interruption(tmp_path):
    def interrupt(record):
        if record.step == 30:
            signal.raise_signal(signal.SIGINT)

    whole = validated(patience=50)
    with pytest.raises(Interrupted):
        validated(tmp_path, patience=50, on_record=interrupt)
    resumed = validated(tmp_path, patience=50)
    assert (resumed.steps, resumed.best_steps.tolist()) == (whole.steps, whole.best_steps.tolist())
    assert_same(resumed.model, whole.model)
    again = validated(tmp_path, patience=50)
    assert again.steps == whole.steps
    assert again.steps_per_second is None
    models = ensemble(lambda key: {"x": jnp.zeros(3)}, jax.random.key(1), 2)
    assert_same(restore_models(Checkpoints(tmp_path), whole.steps, models, best=True), whole.model)


def test_one_member_of_an_ensemble_is_trained_as_one_alone():
    """A single member is not vectorised; its numbers are those of a member of two, up to rounding."""
    one, two = (validated(members=members, steps=50).model["x"][0] for members in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-6)


@pytest.mark.slow
def test_the_average_of_the_parameters_follows_its_recursion():
    """With a constant learning rate the first steps of a long run are a short run: they give the whole path."""
    decay, steps = 0.5, 12
    make_model, loss = noisy_bowl()
    models, key, optimizer = ensemble(make_model, jax.random.key(1), 2), jax.random.key(0), optax.sgd(0.05)

    def trained(steps, **options):
        return fit(models, loss, key=key, steps=steps, optimizer=optimizer, record_every=steps, **options)

    average = np.asarray(models["x"], np.float64)
    for step in range(steps):
        now = min(decay, (1 + step) / (10 + step))
        average = now * average + (1 - now) * np.asarray(trained(step + 1).model["x"])
    fitted = trained(steps, average_decay=decay, validate=lambda model: -jnp.sum(model["x"]))
    np.testing.assert_allclose(fitted.model["x"], average, rtol=1e-5)
    np.testing.assert_allclose(fitted.records[-1].validation, -average.sum(axis=-1), rtol=1e-5)
    assert np.all(np.abs(fitted.model["x"] - trained(steps).model["x"]) > 0)


def test_where_no_step_is_better_the_model_is_as_it_was():
    make_model, loss = noisy_bowl()
    models = ensemble(make_model, jax.random.key(1), 2)
    options = {"steps": 20, "optimizer": optax.sgd(0.05), "validate": lambda model: jnp.sum(model["x"])}
    fitted = fit(models, loss, key=jax.random.key(0), **options)
    assert fitted.best_steps.tolist() == [0, 0]
    np.testing.assert_array_equal(fitted.model["x"], models["x"])


def test_the_rate_is_lowered_by_the_clock():
    """Adam of a constant gradient moves by its rate: what it is multiplied with is what is left of a step."""

    def moved(**options):
        models = ensemble(lambda key: {"x": jnp.zeros(3)}, jax.random.key(0), 1)
        found = fit(
            models,
            lambda model, key, step: jnp.sum(model["x"]),
            key=jax.random.key(1),
            steps=1,
            optimizer=timed_adam(0.1),
            **options,
        )
        return found.model["x"]

    np.testing.assert_allclose(moved(), -0.1, rtol=1e-5)
    np.testing.assert_allclose(moved(seconds=3600, cooling=lambda share: 0.25), -0.025, rtol=1e-5)
    shares = []
    moved(seconds=3600, cooling=lambda share: shares.append(share) or 1.0)
    assert 0 < shares[0] < 0.1


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="with one core OpenBLAS has one thread anyway")
def test_linear_algebra_has_one_thread_while_it_trains():
    """OpenBLAS keeps the threads of the last product busy, on the cores that the devices compute on."""

    def threads(*_):
        return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}

    seen = []
    with threadpool_limits(2, "blas"):
        train(on_progress=lambda *arguments: seen.append(threads(*arguments)))
        assert seen[0] == {1}
        assert threads() == {2}
