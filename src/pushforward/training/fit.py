"""The training loop, compiled in chunks."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

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

M = TypeVar("M")
Loss = Callable[[Any, PRNGKeyArray, Int[Array, ""]], Float[Array, ""]]

AXIS = "members"
CHUNK_SECONDS = 0.25
NEVER = -1


class State(NamedTuple):
    """What training is at: everything that a checkpoint holds. Each array has a leading axis, one entry a member."""

    parameters: PyTree
    fixed: PyTree
    optimizer: PyTree
    loss_sum: Float[Array, " members"]
    diverged_at: Int[Array, " members"]
    diverged_leaf: Int[Array, " members"]


class ModelArrays(NamedTuple):
    """The part of a `State` that makes a model, under the same names."""

    parameters: PyTree
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
    """

    step: int
    loss: Float[np.ndarray, " members"]
    seconds: float


@dataclass(frozen=True)
class Fit:
    """What `fit` returns.

    Attributes:
        model: the trained pytree; of an ensemble, every member along a leading axis.
        records: the loss over training.
        divergences: one entry a member: where it diverged, or None.
        steps_per_second: steps of the whole ensemble, compilation left out; None where no step was left to do.
    """

    model: Any
    records: list[Record]
    divergences: list[Divergence | None]
    steps_per_second: float | None


class Diverged(UserError):
    """Every member met a non-finite loss or gradient; the message names the step and the leaf."""


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal; what was done so far is in the checkpoint."""


def ensemble(make: Callable[[PRNGKeyArray], M], key: PRNGKeyArray, members: int) -> M:
    """Independent models made by `make`, along a leading axis of every array leaf."""
    models: M = eqx.filter_vmap(make)(jax.random.split(key, members))
    return models


def member(models: M, index: int) -> M:
    """One model of an ensemble."""
    model: M = jax.tree.map(lambda leaf: leaf[index] if eqx.is_array(leaf) else leaf, models)
    return model


def restore_models(checkpoints: Checkpoints, step: int, models: M) -> M:
    """The ensemble saved at `step`, in the structure of `models`.

    Raises:
        CheckpointError: it cannot be read, or is of another model.
    """
    parameters, fixed, static = _split(models)
    saved = checkpoints.restore(step, ModelArrays(parameters, fixed))
    restored: M = eqx.combine(saved.parameters, saved.fixed, static)
    return restored


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
    checkpoints: Checkpoints | None = None,
    on_record: Callable[[Record], None] | None = None,
    on_progress: Callable[[int, Float[np.ndarray, " members"]], None] | None = None,
) -> Fit:
    """Minimise `loss(model, key, step)` over every floating-point leaf of each member of an ensemble.

    All members are trained in one compiled program, by `vmap`, split over the devices of the machine where their
    number allows. The loop runs on the device; between chunks of about a quarter of a second Python records, reports
    and checkpoints. Step `t` of a member uses the key `fold_in(member's key, t)`, so that a run does not depend on how
    it was cut into chunks: resumed from a checkpoint it equals an uninterrupted one, bit for bit.

    A member whose loss or gradient is not finite keeps its last good parameters and is left out from then on.

    Args:
        models: an ensemble, made by `ensemble`.
        loss: a scalar; its key differs with member and step.
        key: the source of all randomness.
        steps: updates in all, those before a checkpoint included.
        optimizer: an Optax transformation.
        record_every: steps per record; 1/200 of `steps` unless given.
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
    sharding = NamedSharding(mesh, PartitionSpec(AXIS))
    run = _compiled_loop(static, loss, optimizer, jax.device_put(jax.random.split(key, members), sharding), mesh)
    never = jnp.full(members, NEVER)
    state = State(parameters, fixed, jax.vmap(optimizer.init)(parameters), jnp.zeros(members), never, never)
    # The loop gives its buffers away, so they must not be the caller's.
    state = jax.device_put(state, sharding, may_alias=False)
    step = 0
    if checkpoints is not None and (saved := checkpoints.steps()):
        step = saved[-1]
        state = checkpoints.restore(step, state, sharding)
    record_every = record_every or max(1, steps // 200)

    records: list[Record] = []
    first_step, seconds, length = step, 0.0, 16
    state = run(state, step, 0)  # compiles
    with _signals_deferred() as interrupted:
        while step < steps:
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
                records.append(Record(step, mean_loss, seconds))
                state = state._replace(loss_sum=jax.device_put(jnp.zeros(members), sharding))
                if on_record is not None:
                    on_record(records[-1])
            if all(divergences):
                first = min(filter(None, divergences), key=lambda divergence: divergence.step)
                saved_at = checkpoints.describe() if checkpoints is not None else "no checkpoint was kept"
                raise Diverged(f"not finite at step {first.step}, first in {first.leaf}; {saved_at}")
            if checkpoints is not None and (checkpoints.due(step) or step == steps or interrupted()):
                checkpoints.save(step, state)
            if interrupted() and step < steps:
                raise Interrupted(f"stopped after step {step} of {steps}")

    # The members leave the devices they were trained on.
    parameters, fixed = jax.tree.map(lambda leaf: jnp.asarray(np.asarray(leaf)), (state.parameters, state.fixed))
    rate = (step - first_step) / seconds if seconds else None
    return Fit(eqx.combine(parameters, fixed, static), records, _divergences(state, names), rate)


def _mesh(members: int) -> Mesh:
    devices = jax.local_devices()
    count = math.gcd(members, len(devices))
    return jax.make_mesh((count,), (AXIS,), axis_types=(AxisType.Auto,), devices=devices[:count])


def _compiled_loop(
    static: PyTree, loss: Loss, optimizer: optax.GradientTransformation, keys: Key[Array, " members"], mesh: Mesh
) -> Callable[[State, int, int], State]:
    """`(state, step, length) -> state` after `length` more updates; one compilation serves every `length`."""

    def update(state: State, key: PRNGKeyArray, step: Int[Array, ""]) -> State:
        def value(parameters: PyTree) -> Float[Array, ""]:
            return loss(eqx.combine(parameters, state.fixed, static), jax.random.fold_in(key, step), step)

        loss_value, gradients = jax.value_and_grad(value)(state.parameters)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.parameters)
        parameters = optax.apply_updates(state.parameters, updates)

        finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in [*jax.tree.leaves(gradients), loss_value]])
        alive = state.diverged_at == NEVER
        good = alive & jnp.all(finite)
        diverges = alive & ~good
        parameters, optimizer_state = jax.tree.map(
            lambda new, old: jnp.where(good, new, old),
            (parameters, optimizer_state),
            (state.parameters, state.optimizer),
        )
        return State(
            parameters,
            state.fixed,
            optimizer_state,
            state.loss_sum + jnp.where(good, loss_value, 0),
            jnp.where(diverges, step, state.diverged_at),
            jnp.where(diverges, jnp.argmin(finite), state.diverged_leaf),
        )

    def run(state: State, keys: Key[Array, " _"], step: Int[Array, ""], length: Int[Array, ""]) -> State:
        def body(offset: Int[Array, ""], state: State) -> State:
            return jax.vmap(update, in_axes=(0, 0, None))(state, keys, step + offset)

        result: State = lax.fori_loop(0, length, body, state)
        return result

    split, whole = PartitionSpec(AXIS), PartitionSpec()
    sharded = jax.shard_map(run, mesh=mesh, in_specs=(split, split, whole, whole), out_specs=split, check_vma=False)
    compiled = jax.jit(sharded, donate_argnums=0)

    def advance(state: State, step: int, length: int) -> State:
        result: State = compiled(state, keys, step, length)
        return result

    return advance


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


@contextmanager
def _signals_deferred() -> Iterator[Callable[[], bool]]:
    """Within it, a first SIGINT or SIGTERM only makes the yielded function true; a second one acts as usual."""
    received = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield received.is_set
        return
    previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def handle(number: int, _: object) -> None:
        received.set()
        signal.signal(number, previous[signal.Signals(number)])

    for number in previous:
        signal.signal(number, handle)
    try:
        yield received.is_set
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
