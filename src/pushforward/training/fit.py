"""The training loop, compiled in chunks."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Float, Int, Key, PRNGKeyArray, PyTree

from pushforward.errors import UserError
from pushforward.training.checkpoint import Checkpoints
from pushforward.training.signals import signals_deferred

M = TypeVar("M")
Loss = Callable[[Any, PRNGKeyArray, Int[Array, ""]], Float[Array, ""]]
Validate = Callable[[Any], Float[Array, ""]]

AXIS = "members"
CHUNK_SECONDS = 0.25
MOST_IN_TURN = 16
NEVER = -1


class Best(NamedTuple):
    """The parameters of lowest validation loss so far."""

    parameters: PyTree
    loss: Float[Array, " members"]
    step: Int[Array, " members"]


class State(NamedTuple):
    """What training is at: everything that a checkpoint holds. Each array has a leading axis, one entry a member."""

    parameters: PyTree
    fixed: PyTree
    optimizer: PyTree
    loss_sum: Float[Array, " members"]
    diverged_at: Int[Array, " members"]
    diverged_leaf: Int[Array, " members"]
    best: Best | None = None
    average: PyTree = None

    @property
    def judged(self) -> PyTree:
        """The parameters that are validated and returned: the averages where they are kept."""
        return self.parameters if self.average is None else self.average


class ModelArrays(NamedTuple):
    """The part of a `State` that makes a model, under the same names."""

    parameters: PyTree
    fixed: PyTree


class BestArrays(NamedTuple):
    """The part of a `State` that makes the best model, under the same names."""

    best: ModelArrays
    fixed: PyTree


@dataclass(frozen=True)
class Divergence:
    """Where a member of an ensemble met its first non-finite number.

    Attributes:
        step: the step, counted from 0, whose loss or gradient was not finite; its update was not applied.
        leaf: path of the first parameter whose gradient was not finite, or `"loss"`.
    """

    step: int
    leaf: str


@dataclass(frozen=True)
class Record:
    """The mean loss of each member over the steps since the record before.

    Attributes:
        step: steps done.
        loss: one mean a member, in nats; NaN once a member has diverged.
        seconds: spent in this process so far.
        validation: the validation loss of each member at this step, where there is one.
    """

    step: int
    loss: Float[np.ndarray, " members"]
    seconds: float
    validation: Float[np.ndarray, " members"] | None = None


@dataclass(frozen=True)
class Fit(Generic[M]):
    """What `fit` returns.

    Attributes:
        model: the trained pytree; of an ensemble, every member along a leading axis. With validation each member is at
            its best step.
        records: the loss over training.
        divergences: one entry a member: where it diverged, or None.
        steps_per_second: steps of all members together, a second of the loop, without compilation, records and
            checkpoints; None where no step was left to do.
        steps: done in all.
        best_steps: with validation, the best step of each member.
        best_losses: with validation, the loss of each member there.
        optimizer_state: the last state of the optimiser, each array with a leading axis of members.
    """

    model: M
    records: list[Record]
    divergences: list[Divergence | None]
    steps_per_second: float | None
    steps: int
    best_steps: Int[np.ndarray, " members"] | None = None
    best_losses: Float[np.ndarray, " members"] | None = None
    optimizer_state: PyTree = None

    def __repr__(self) -> str:
        lost = sum(divergence is not None for divergence in self.divergences)
        return f"Fit({len(self.divergences)} members, {self.steps:,} steps, {lost} diverged)"


class Diverged(UserError):
    """Every member met a non-finite loss or gradient; the message names the step and the leaf.

    Attributes:
        models: the ensemble with the last good parameters of each member.
        divergences: where each member diverged.
    """

    def __init__(self, message: str, models: Any = None, divergences: Sequence[Divergence] = ()) -> None:
        super().__init__(message)
        self.models = models
        self.divergences = divergences


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal; what was done so far is in the checkpoint."""


def ensemble(make: Callable[[PRNGKeyArray], M], key: PRNGKeyArray, members: int) -> M:
    """Independent models made by `make`, along a leading axis of every array leaf."""
    return eqx.filter_vmap(make)(jax.random.split(key, members))


def member(models: M, index: int) -> M:
    """One model of an ensemble."""
    return jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, models)


def restore_models(checkpoints: Checkpoints, step: int, models: M, *, best: bool = False) -> M:
    """The ensemble saved at `step`, in the structure of `models`, the best of it up to there if `best`.

    It comes in the precision that it was trained in, whatever that of this process.

    Raises:
        CheckpointError: it cannot be read, or is of another model.
    """
    parameters, fixed, static = _split(models)
    if best:
        saved = checkpoints.restore(step, BestArrays(ModelArrays(parameters, None), fixed), exact=False)
        parameters, fixed = saved.best.parameters, saved.fixed
    else:
        parameters, fixed = checkpoints.restore(step, ModelArrays(parameters, fixed), exact=False)
    return eqx.combine(parameters, fixed, static)


def _split(models: PyTree) -> tuple[PyTree, PyTree, PyTree]:
    """The trained arrays, the other arrays (masks, permutations), and the rest."""
    parameters, rest = eqx.partition(models, eqx.is_inexact_array)
    fixed, static = eqx.partition(rest, eqx.is_array)
    return parameters, fixed, static


def fit(
    models: M,
    loss: Loss,
    *,
    key: PRNGKeyArray,
    steps: int,
    optimizer: optax.GradientTransformation,
    record_every: int | None = None,
    validate: Validate | None = None,
    patience: int | None = None,
    average_decay: float | None = None,
    checkpoints: Checkpoints | None = None,
    on_record: Callable[[Record], None] | None = None,
    on_progress: Callable[[int, Float[np.ndarray, " members"]], None] | None = None,
) -> Fit[M]:
    """Minimise `loss(model, key, step)` over every floating-point leaf of each member of an ensemble.

    All members are trained in one compiled program, split over the devices of the machine where their number allows; on
    a device up to 16 take turns, chunk by chunk, where it is a CPU; more of them, or on a GPU, go side by side, by
    `vmap`. The loop runs on the device; between chunks of about a quarter of a second Python records, reports and
    checkpoints. Step `t` of a member uses the key `fold_in(member's key, t)`, so that a run does not depend on how it
    was cut into chunks: resumed from a checkpoint it equals an uninterrupted one, bit for bit.

    A member whose loss or gradient is not finite keeps its last good parameters and is left out from then on.

    Args:
        models: an ensemble, made by `ensemble`.
        loss: a scalar; its key differs with member and step. Arrays of a loss that is a pytree, such as the data set
            in `objectives.ForwardKL`, stay on the device and are not compiled in.
        key: the source of all randomness.
        steps: updates in all, those before a checkpoint included.
        optimizer: an Optax transformation.
        record_every: steps per record; 1/200 of `steps` unless given.
        validate: the validation loss of a model, measured at the start and with each record; the parameters of the
            lowest one are kept, and returned in the end. A pytree, as `loss`.
        patience: steps without a lower validation loss in any member after which training stops; never unless given.
        average_decay: of an exponential moving average of the parameters, which is validated and returned in their
            place; none is kept unless given. It is `(1 + step) / (10 + step)` while that is less.
        checkpoints: where to save and to resume from; nothing is saved unless given.
        on_record: called with each record.
        on_progress: called after each chunk with the steps done and the mean loss since the last record.

    Raises:
        Diverged: every member diverged.
        Interrupted: SIGINT or SIGTERM arrived; the checkpoint is written first.
    """
    parameters, fixed, static = _split(models)
    leaves = jax.tree.leaves_with_path(parameters)
    members = leaves[0][1].shape[0]
    names = [*(jax.tree_util.keystr(path) for path, _ in leaves), "loss"]
    mesh = _mesh(members)
    sharding = _split_over(mesh)
    keys = jax.device_put(jax.random.split(key, members), sharding)
    run = _compiled_loop(static, loss, optimizer, average_decay, keys, mesh)
    never = jnp.full(members, NEVER, int)
    best = None if validate is None else Best(parameters, jnp.full(members, jnp.inf, float), jnp.zeros(members, int))
    optimizer_state = jax.vmap(optimizer.init)(parameters)
    average = None if average_decay is None else parameters
    state = State(parameters, fixed, optimizer_state, jnp.zeros(members), never, never, best, average)
    judge = None if validate is None else _compiled_validation(static, validate, mesh)
    # The loop gives its buffers away, so they must not be the caller's.
    state = jax.device_put(state, sharding, may_alias=False)
    step = 0
    if checkpoints is not None and (saved := checkpoints.steps()):
        step = saved[-1]
        state = checkpoints.restore(step, state, sharding)
    record_every = record_every or max(1, steps // 200)

    records: list[Record] = []
    first_step, seconds, length = step, 0.0, 1
    state = run(state, step, 0)  # compiles
    if judge is not None and step == 0:
        state, _ = judge(state, step)
    with signals_deferred() as interrupted:
        while step < steps and not _out_of_patience(state, step, patience):
            length = min(length, _next_boundary(step, steps, record_every, checkpoints) - step)
            start = time.perf_counter()
            state = jax.block_until_ready(run(state, step, length))
            elapsed = time.perf_counter() - start
            step, seconds = step + length, seconds + elapsed
            length = max(1, min(4 * length, int(CHUNK_SECONDS * (step - first_step) / seconds)))

            divergences = _divergences(state, names)
            mean_loss = _mean_loss(state, (step - 1) % record_every + 1)
            if on_progress is not None:
                on_progress(step, mean_loss)
            if step % record_every == 0 or step == steps:
                validation = None
                if judge is not None:
                    state, validation = judge(state, step)
                records.append(Record(step, mean_loss, seconds, validation))
                state = state._replace(loss_sum=jax.device_put(jnp.zeros(members), sharding))
                if on_record is not None:
                    on_record(records[-1])
            if all(divergences):
                met = list(filter(None, divergences))
                first = min(met, key=lambda divergence: divergence.step)
                saved_at = checkpoints.describe() if checkpoints is not None else "no checkpoint was kept"
                message = f"not finite at step {first.step}, first in {first.leaf}; {saved_at}"
                raise Diverged(message, eqx.combine(state.parameters, state.fixed, static), met)
            finished = step == steps or _out_of_patience(state, step, patience)
            if checkpoints is not None and (checkpoints.due(step) or finished or interrupted()):
                checkpoints.save(step, state)
            if interrupted() and not finished:
                raise Interrupted(f"stopped after step {step} of {steps}")

    # The members leave the devices they were trained on.
    state = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), state)
    parameters = state.judged if state.best is None else state.best.parameters
    return Fit(
        eqx.combine(parameters, state.fixed, static),
        records,
        _divergences(state, names),
        members * (step - first_step) / seconds if seconds else None,
        step,
        None if state.best is None else np.asarray(state.best.step),
        None if state.best is None else np.asarray(state.best.loss, np.float64),
        state.optimizer,
    )


def _mesh(members: int) -> Mesh:
    devices = jax.local_devices()
    count = math.gcd(members, len(devices))
    return jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices[:count])


def _split_over(mesh: Mesh) -> NamedSharding:
    """The members divided among the devices."""
    return NamedSharding(mesh, PartitionSpec(AXIS))


def _whole_on(mesh: Mesh) -> NamedSharding:
    """A copy on every device."""
    return NamedSharding(mesh, PartitionSpec())


def _compiled_loop(
    static: PyTree,
    loss: Loss,
    optimizer: optax.GradientTransformation,
    average_decay: float | None,
    keys: Key[Array, " members"],
    mesh: Mesh,
) -> Callable[[State, int, int], State]:
    """`(state, step, length) -> state` after `length` more updates; one compilation serves every `length`."""
    loss_arrays, loss_static = eqx.partition(loss, eqx.is_array)

    def update(state: State, key: PRNGKeyArray, step: Int[Array, ""], loss: Loss) -> State:
        def value(parameters: PyTree) -> Float[Array, ""]:
            return loss(eqx.combine(parameters, state.fixed, static), jax.random.fold_in(key, step), step)

        loss_value, gradients = jax.value_and_grad(value)(state.parameters)
        finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in [*jax.tree.leaves(gradients), loss_value]])
        alive = state.diverged_at == NEVER
        good = alive & jnp.all(finite)
        diverges = alive & ~good

        def apply(parameters: PyTree, optimizer_state: PyTree, average: PyTree) -> tuple[PyTree, PyTree, PyTree]:
            updates, optimizer_state = optimizer.update(gradients, optimizer_state, parameters)
            parameters = optax.apply_updates(parameters, updates)
            if average_decay is not None:
                decay = jnp.minimum(average_decay, (1 + step) / (10 + step))
                average = optax.incremental_update(parameters, average, 1 - decay)
            return parameters, optimizer_state, average

        # Not `where`: of a large model it would read and write every array once more.
        parameters, optimizer_state, average = lax.cond(
            good, apply, lambda *unchanged: unchanged, state.parameters, state.optimizer, state.average
        )
        return State(
            parameters,
            state.fixed,
            optimizer_state,
            state.loss_sum + jnp.where(good, loss_value, 0),
            jnp.where(diverges, step, state.diverged_at),
            jnp.where(diverges, jnp.argmin(finite), state.diverged_leaf),
            state.best,
            average,
        )

    def run(
        state: State, keys: Key[Array, " _"], step: Int[Array, ""], length: Int[Array, ""], loss_arrays: PyTree
    ) -> State:
        each = partial(update, loss=eqx.combine(loss_arrays, loss_static))

        def one(state: State, key: PRNGKeyArray) -> State:
            return lax.fori_loop(0, length, lambda offset, state: each(state, key, step + offset), state)

        return over_members(one)(state, keys)

    compiled = jax.jit(_on_each_device(run, mesh, split=2, whole=3), donate_argnums=0)
    loss_arrays = jax.device_put(loss_arrays, _whole_on(mesh))

    def advance(state: State, step: int, length: int) -> State:
        return compiled(state, keys, step, length, loss_arrays)

    return advance


def _compiled_validation(
    static: PyTree, validate: Validate, mesh: Mesh
) -> Callable[[State, int], tuple[State, Float[np.ndarray, " members"]]]:
    """`(state, step) -> (state, losses)` with the best parameters brought up to date."""
    arrays, rest = eqx.partition(validate, eqx.is_array)

    def check(state: State, step: Int[Array, ""], arrays: PyTree) -> tuple[State, Float[Array, " _"]]:
        def each(parameters: PyTree, fixed: PyTree, best: Best) -> tuple[Best, Float[Array, ""]]:
            loss = eqx.combine(arrays, rest)(eqx.combine(parameters, fixed, static))
            better = loss < best.loss
            new = Best(parameters, loss, step)
            return jax.tree.map(lambda new, old: jnp.where(better, new, old), new, best), loss

        best, losses = over_members(each)(state.judged, state.fixed, state.best)
        return state._replace(best=best), losses

    compiled = jax.jit(_on_each_device(check, mesh, split=1, whole=2))
    arrays = jax.device_put(arrays, _whole_on(mesh))

    def judge(state: State, step: int) -> tuple[State, Float[np.ndarray, " members"]]:
        state, losses = compiled(state, step, arrays)
        return state, np.asarray(losses, np.float64)

    return judge


def _on_each_device(function: Callable[..., Any], mesh: Mesh, split: int, whole: int) -> Callable[..., Any]:
    """`function` of the members of each device; its first arguments are split among them, the others are not."""
    specs = (PartitionSpec(AXIS),) * split + (PartitionSpec(),) * whole
    return jax.shard_map(function, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS), check_vma=False)


def over_members(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` of one member, for all of them: in turn on a CPU unless they are many, else by `jax.vmap`.

    On CPU, matrix products and convolutions with a batch axis of their weights are far slower, even one of size 1, and
    the arrays of one member stay in the cache (`results/benchmarks/members.md`). Very small arrays of many members are
    quicker side by side.
    """

    def mapped(*trees: PyTree) -> PyTree:
        count = jax.tree.leaves(trees)[0].shape[0]
        if _side_by_side(count):
            return jax.vmap(function)(*trees)
        if count > 1:
            return lax.map(lambda trees: function(*trees), trees)
        result = function(*jax.tree.map(lambda leaf: leaf[0], trees))
        return jax.tree.map(lambda leaf: leaf[None], result)

    return mapped


def _side_by_side(members: int) -> bool:
    """Whether so many members of one device go side by side."""
    return jax.default_backend() != "cpu" or members > MOST_IN_TURN


def _out_of_patience(state: State, step: int, patience: int | None) -> bool:
    """Whether no living member has found a lower validation loss for `patience` steps."""
    if patience is None or state.best is None:
        return False
    waiting = step - np.asarray(state.best.step) > patience
    return bool(np.all(waiting | (np.asarray(state.diverged_at) != NEVER)))


def _next_boundary(step: int, steps: int, record_every: int, checkpoints: Checkpoints | None) -> int:
    next_record = (step // record_every + 1) * record_every
    next_kept = checkpoints.next_kept(step) if checkpoints is not None else None
    return min(steps, next_record, steps if next_kept is None else next_kept)


def _mean_loss(state: State, count: int) -> Float[np.ndarray, " members"]:
    diverged = np.asarray(state.diverged_at) != NEVER
    return np.where(diverged, np.nan, np.asarray(state.loss_sum, np.float64) / count)


def _divergences(state: State, names: list[str]) -> list[Divergence | None]:
    pairs = zip(np.asarray(state.diverged_at), np.asarray(state.diverged_leaf))
    return [None if step == NEVER else Divergence(int(step), names[leaf]) for step, leaf in pairs]
