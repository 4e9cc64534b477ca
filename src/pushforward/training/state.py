"""What training is at, and how one update and one validation change it."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int, Key, PyTree

from pushforward.objectives.base import Loss, Remembering
from pushforward.training.checkpoint import Checkpoints
from pushforward.training.members import over_members
from pushforward.types import PRNGKeyArray

M = TypeVar("M")
Validate = Callable[[Any], Float[Array, ""]]

NEVER = -1
BEFORE = 2**31 - 1
"""In place of the step in the key of what is drawn before the first."""


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
    memory: PyTree = None

    @property
    def judged(self) -> PyTree:
        """The parameters that are validated and returned: the averages where they are kept."""
        return self.parameters if self.average is None else self.average

    @property
    def told(self) -> "State":
        """What Python looks at between two chunks: how the members fare, without their arrays."""
        best = None if self.best is None else self.best._replace(parameters=None)
        return self._replace(parameters=None, fixed=None, optimizer=None, best=best, average=None, memory=None)


class ModelArrays(NamedTuple):
    """The part of a `State` that makes a model, under the same names."""

    parameters: PyTree
    fixed: PyTree


class BestArrays(NamedTuple):
    """The part of a `State` that makes the best model, under the same names."""

    best: ModelArrays
    fixed: PyTree


def restore_models(checkpoints: Checkpoints, step: int, models: M, *, best: bool = False) -> M:
    """The ensemble saved at `step`, in the structure of `models`, the best of it up to there if `best`.

    It comes in the precision that it was trained in, whatever that of this process.

    Args:
        checkpoints: of the run.
        step: at which it was saved.
        models: an ensemble of the same structure; the shapes of its arrays are enough, as `eqx.filter_eval_shape` gives
            them.
        best: whether each member is as its best step had it.

    Raises:
        CheckpointError: it cannot be read, or is of another model.
    """
    parameters, fixed, static = split_model(models)
    if best:
        saved = checkpoints.restore(step, BestArrays(ModelArrays(parameters, None), fixed), exact=False)
        parameters, fixed = saved.best.parameters, saved.fixed
    else:
        parameters, fixed = checkpoints.restore(step, ModelArrays(parameters, fixed), exact=False)
    return eqx.combine(parameters, fixed, static)


def split_model(models: PyTree) -> tuple[PyTree, PyTree, PyTree]:
    """The arrays that are trained, the other arrays (masks, permutations), and the rest."""
    parameters, rest = eqx.partition(models, lambda leaf: _is_array(leaf) and jnp.issubdtype(leaf.dtype, jnp.inexact))
    fixed, static = eqx.partition(rest, _is_array)
    return parameters, fixed, static


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | jax.ShapeDtypeStruct)


def keys_of_parts(key: PRNGKeyArray, accumulate: int) -> Key[Array, " parts"]:
    """The keys of the losses of a step, given that of the step."""
    return key[None] if accumulate == 1 else jax.random.split(key, accumulate)


class Problem(eqx.Module):
    """What training minimises, and how.

    Attributes:
        static: the rest of the models, that training leaves alone.
        loss: of one model.
        optimizer: an Optax transformation.
        average_decay: of the moving average of the parameters, where there is one.
        accumulate: losses of a step, whose gradients are averaged.
    """

    static: PyTree
    loss: Loss | Remembering
    optimizer: optax.GradientTransformation
    average_decay: float | None
    accumulate: int = 1

    def start(self, parameters: PyTree, fixed: PyTree, keys: Key[Array, " members"], validated: bool) -> State:
        """The state before the first step."""
        members = len(keys)
        never = jnp.full(members, NEVER, int)
        lowest, at = jnp.full(members, jnp.inf, float), jnp.zeros(members, int)
        return State(
            parameters=parameters,
            fixed=fixed,
            optimizer=jax.vmap(self.optimizer.init)(parameters),
            loss_sum=jnp.zeros(members),
            diverged_at=never,
            diverged_leaf=never,
            best=Best(parameters, lowest, at) if validated else None,
            average=None if self.average_decay is None else parameters,
            memory=self._remembered(parameters, fixed, keys) if isinstance(self.loss, Remembering) else None,
        )

    def _remembered(self, parameters: PyTree, fixed: PyTree, keys: Key[Array, " members"]) -> PyTree:
        assert isinstance(self.loss, Remembering)
        begin = self.loss.start

        def one(parameters: PyTree, fixed: PyTree, key: PRNGKeyArray) -> PyTree:
            return begin(eqx.combine(parameters, fixed, self.static), jax.random.fold_in(key, BEFORE))

        return jax.jit(over_members(one))(parameters, fixed, keys)

    def advance(self, state: State, keys: Key[Array, " _"], step: Int[Array, ""], length: Int[Array, ""]) -> State:
        """All members after `length` more updates; one compilation serves every `length`."""

        def one(state: State, key: PRNGKeyArray) -> State:
            return lax.fori_loop(0, length, lambda offset, state: self._update(state, key, step + offset), state)

        return over_members(one)(state, keys)

    def _update(self, state: State, key: PRNGKeyArray, step: Int[Array, ""]) -> State:
        key = jax.random.fold_in(key, step)
        loss, gradients, memory = self._averaged(state, key, step)
        finite = jnp.stack([jnp.all(jnp.isfinite(leaf)) for leaf in [*jax.tree.leaves(gradients), loss]])
        alive = state.diverged_at == NEVER
        good = alive & jnp.all(finite)
        diverges = alive & ~good
        # Not `where`: of a large model it would read and write every array once more.
        parameters, optimizer, average = lax.cond(
            good,
            partial(self._descend, gradients, step),
            lambda *unchanged: unchanged,
            state.parameters,
            state.optimizer,
            state.average,
        )
        return state._replace(
            parameters=parameters,
            optimizer=optimizer,
            loss_sum=state.loss_sum + jnp.where(good, loss, 0),
            diverged_at=jnp.where(diverges, step, state.diverged_at),
            diverged_leaf=jnp.where(diverges, jnp.argmin(finite), state.diverged_leaf),
            average=average,
            memory=memory,
        )

    def _averaged(
        self, state: State, key: PRNGKeyArray, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], PyTree, PyTree]:
        """The loss of a step, its gradients, and the memory after it."""
        differentiated = jax.value_and_grad(self._value, has_aux=True)
        if self.accumulate == 1:
            (loss, memory), gradients = differentiated(state.parameters, state.fixed, state.memory, key, step)
            return loss, gradients, memory

        def add(before: tuple[PyTree, PyTree], key: PRNGKeyArray) -> tuple[tuple[PyTree, PyTree], None]:
            summed, memory = before
            (loss, memory), gradients = differentiated(state.parameters, state.fixed, memory, key, step)
            return (jax.tree.map(jnp.add, summed, (loss, gradients)), memory), None

        zeros = jnp.zeros(()), jax.tree.map(jnp.zeros_like, state.parameters)
        (summed, memory), _ = lax.scan(add, (zeros, state.memory), keys_of_parts(key, self.accumulate))
        loss, gradients = jax.tree.map(lambda each: each / self.accumulate, summed)
        return loss, gradients, memory

    def _value(
        self, parameters: PyTree, fixed: PyTree, memory: PyTree, key: PRNGKeyArray, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], PyTree]:
        model = eqx.combine(parameters, fixed, self.static)
        if isinstance(self.loss, Remembering):
            return self.loss(model, memory, key, step)
        return self.loss(model, key, step), None

    def _descend(
        self, gradients: PyTree, step: Int[Array, ""], parameters: PyTree, optimizer: PyTree, average: PyTree
    ) -> tuple[PyTree, PyTree, PyTree]:
        updates, optimizer = self.optimizer.update(gradients, optimizer, parameters)
        parameters = optax.apply_updates(parameters, updates)
        if self.average_decay is not None:
            decay = jnp.minimum(self.average_decay, (1 + step) / (10 + step))
            average = optax.incremental_update(parameters, average, 1 - decay)
        return parameters, optimizer, average


class Validation(eqx.Module):
    """What chooses the best parameters of each member.

    Attributes:
        static: the rest of the models, that training leaves alone.
        loss: of one model.
    """

    static: PyTree
    loss: Validate

    def check(self, state: State, step: Int[Array, ""]) -> tuple[State, Float[Array, " _"]]:
        """The state with the best parameters brought up to date, and the validation loss of each member."""

        def one(parameters: PyTree, fixed: PyTree, best: Best) -> tuple[Best, Float[Array, ""]]:
            loss = self.loss(eqx.combine(parameters, fixed, self.static))
            new = Best(parameters, loss, step)
            return jax.tree.map(lambda new, old: jnp.where(loss < best.loss, new, old), new, best), loss

        best, losses = over_members(one)(state.judged, state.fixed, state.best)
        return state._replace(best=best), losses
