"""The training loop: compiled chunks of steps, and what Python does between them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Float, Int, PyTree

from pushforward.devices import memory_kept, one_blas_thread
from pushforward.errors import UserError
from pushforward.objectives.base import Loss, Remembering
from pushforward.objectives.windowed import Windowed
from pushforward.programs import forget_programs
from pushforward.progress import OnProgress, is_watched, training_progress
from pushforward.training.checkpoint import Checkpoints
from pushforward.training.members import Devices
from pushforward.training.optimizer import cooled
from pushforward.training.signals import signals_deferred
from pushforward.training.state import NEVER, Problem, State, Validate, Validation, split_model
from pushforward.types import PRNGKeyArray

M = TypeVar("M")

CHUNK_SECONDS = 0.25


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

    def __init__(self, message: str, models: Any, divergences: Sequence[Divergence]) -> None:
        super().__init__(message)
        self.models = models
        self.divergences = divergences


class Interrupted(KeyboardInterrupt):
    """Training was stopped by a signal; what was done so far is in the checkpoint."""


def fit(
    models: M,
    loss: Loss | Remembering | Windowed,
    *,
    key: PRNGKeyArray,
    steps: int,
    optimizer: optax.GradientTransformation,
    record_every: int | None = None,
    validate: Validate | None = None,
    patience: int | None = None,
    seconds: float | None = None,
    cooling: Callable[[float], float] | None = None,
    average_decay: float | None = None,
    devices: int | None = None,
    accumulate: int = 1,
    checkpoints: Checkpoints | None = None,
    on_record: Callable[[Record], None] | None = None,
    on_progress: OnProgress | None = None,
    progress: bool | None = None,
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
        loss: a scalar; its key differs with member and step. An `objectives.Remembering` one takes and returns a memory
            too. Arrays of a loss that is a pytree, such as the data set in `objectives.ForwardKL`, stay on the device
            and are not compiled in; those of an `objectives.Windowed` one are replaced while it trains.
        key: the source of all randomness.
        steps: updates in all, those before a checkpoint included.
        optimizer: an Optax transformation.
        record_every: steps per record; 1/200 of `steps` unless given.
        validate: the validation loss of a model, measured at the start and with each record; the parameters of the
            lowest one are kept, and returned in the end. A pytree, as `loss`.
        patience: steps without a lower validation loss in any member after which training stops; never unless given.
        seconds: after which it stops, counted from the call, compilation included; never unless given.
        cooling: from the share of `seconds` or of `steps` that has passed, whichever is more, to a factor of the
            learning rate of `timed_adam`.
        average_decay: of an exponential moving average of the parameters, which is validated and returned in their
            place; none is kept unless given. It is `(1 + step) / (10 + step)` while that is less.
        devices: that share the members and, where these do not divide them evenly, each batch; as many as divide the
            members unless given. Results are the same but for rounding.
        accumulate: losses of a step, each with a key of its own, whose gradients are averaged: for batches that do not
            fit into memory at once.
        checkpoints: where to save and to resume from; nothing is saved unless given.
        on_record: called with each record.
        on_progress: called after each chunk with the steps done and the mean loss since the last record.
        progress: whether steps, loss and the time left are shown; unless given, in a terminal and in a notebook where
            neither `on_record` nor `on_progress` is.

    Raises:
        Diverged: every member diverged.
        Interrupted: SIGINT or SIGTERM arrived; the checkpoint is written first.
        UserError: there are not so many devices.
        ValueError: `accumulate` is less than 1.
    """
    if accumulate < 1:
        raise ValueError(f"accumulate must be 1 or more, got {accumulate}")
    if progress is None:
        progress = on_record is None and on_progress is None and is_watched()
    began = time.perf_counter()
    forget_programs()
    parameters, fixed, static = split_model(models)
    leaves = jax.tree.leaves_with_path(parameters)
    names = [*(jax.tree_util.keystr(path) for path, _ in leaves), "loss"]
    members = leaves[0][1].shape[0]
    sharing = Devices.of(members, devices)
    keys = sharing.put(jax.random.split(key, members))
    saved = checkpoints.steps() if checkpoints is not None else []
    step = saved[-1] if saved else 0
    seen = loss.at(step) if isinstance(loss, Windowed) else loss
    problem = Problem(static, seen, optimizer, average_decay, accumulate)
    run = sharing.compile(Problem.advance, problem, split=2, scalars=2)
    judge = sharing.compile(Validation.check, Validation(static, validate), split=1, scalars=1) if validate else None
    begin = partial(problem.start, validated=validate is not None)
    # From the host they go to the devices as they are; from one of these each would be cut by a program of its own.
    state = sharing.divided(begin, *jax.tree.map(np.asarray, (parameters, fixed)), keys)
    if checkpoints is not None and saved:
        state = checkpoints.restore(step, state, sharing.split)
    record_every = record_every or max(1, steps // 200)
    records: list[Record] = []
    pace = _Pace()

    state = run(state, keys, step, 0)  # compiles
    if judge is not None and step == 0:
        state, _ = judge(state, step)

    def ends() -> bool:
        out_of_time = seconds is not None and time.perf_counter() - began >= seconds
        return step == steps or out_of_time or _out_of_patience(sharing.host(state.told), step, patience)

    factor = 1.0
    finished = ends()
    bar = training_progress("training", steps, quiet=not progress)
    with signals_deferred() as interrupted, one_blas_thread(), memory_kept(), bar as show:
        while not finished:
            if cooling is not None and seconds is not None:
                share = max((time.perf_counter() - began) / seconds, step / steps)
                before, factor = factor, cooling(min(1.0, share))
                state = state._replace(optimizer=cooled(state.optimizer, factor / before))
            length = min(pace.length, _next_boundary(step, steps, record_every, checkpoints) - step)
            if isinstance(loss, Windowed):
                length = min(length, loss.end(step) - step)
            state = pace.timed(length, run, state, keys, step, length)
            step += length
            if isinstance(loss, Windowed) and step < steps and loss.end(step) != loss.end(step - length):
                run = run.of(replace(problem, loss=loss.at(step)))
            told = sharing.host(state.told)
            mean_loss = _mean_loss(told, (step - 1) % record_every + 1)
            show(step, mean_loss)
            if on_progress is not None:
                on_progress(step, mean_loss)
            if step % record_every == 0 or step == steps:
                validation = None
                if judge is not None:
                    state, losses = judge(state, step)
                    validation = np.asarray(sharing.host(losses), np.float64)
                state = state._replace(loss_sum=sharing.put(jnp.zeros(members)))
                records.append(Record(step, mean_loss, pace.seconds, validation))
                if on_record is not None:
                    on_record(records[-1])
            divergences = _divergences(told, names)
            if all(divergences):
                last = sharing.host((state.parameters, state.fixed))
                raise _diverged(divergences, eqx.combine(*jax.tree.map(jnp.asarray, last), static), checkpoints)
            finished = ends()
            pace.length, stops = sharing.agreed(pace.length, interrupted())
            due = checkpoints is not None and (checkpoints.due(step) or finished or stops)
            if checkpoints is not None and due and jax.process_index() == 0:
                checkpoints.save(step, sharing.host(state))
            if stops and not finished:
                raise Interrupted(f"stopped after step {step} of {steps}")

    # The members leave the devices they were trained on.
    state = jax.tree.map(jnp.asarray, sharing.host(state))
    best = state.best
    return Fit(
        model=eqx.combine(state.judged if best is None else best.parameters, state.fixed, static),
        records=records,
        divergences=_divergences(state, names),
        steps_per_second=members * pace.steps / pace.seconds if pace.seconds else None,
        steps=step,
        best_steps=None if best is None else np.asarray(best.step),
        best_losses=None if best is None else np.asarray(best.loss, np.float64),
        optimizer_state=state.optimizer,
    )


class _Pace:
    """How long the chunks take, and how many steps the next should have: about a quarter of a second."""

    def __init__(self) -> None:
        self.steps, self.seconds, self.length = 0, 0.0, 1

    def timed(self, steps: int, run: Callable[..., State], *arguments: Any) -> State:
        start = time.perf_counter()
        state = jax.block_until_ready(run(*arguments))
        self.seconds += time.perf_counter() - start
        self.steps += steps
        self.length = max(1, min(4 * steps, int(CHUNK_SECONDS * self.steps / self.seconds)))
        return state


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


def _diverged(divergences: list[Divergence | None], models: Any, checkpoints: Checkpoints | None) -> Diverged:
    met = [divergence for divergence in divergences if divergence is not None]
    first = min(met, key=lambda divergence: divergence.step)
    saved_at = checkpoints.describe() if checkpoints is not None else "no checkpoint was kept"
    return Diverged(f"not finite at step {first.step}, first in {first.leaf}; {saved_at}", models, met)


def _mean_loss(state: State, count: int) -> Float[np.ndarray, " members"]:
    diverged = np.asarray(state.diverged_at) != NEVER
    return np.where(diverged, np.nan, np.asarray(state.loss_sum, np.float64) / count)


def _divergences(state: State, names: list[str]) -> list[Divergence | None]:
    pairs = zip(np.asarray(state.diverged_at), np.asarray(state.diverged_leaf))
    return [None if step == NEVER else Divergence(int(step), names[leaf]) for step, leaf in pairs]
