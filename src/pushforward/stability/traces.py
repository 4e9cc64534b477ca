"""How far parameters move and how large their gradients are while a model is trained."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree


class TraceState(NamedTuple):
    """The state of the optimiser that is traced, and sums over windows of steps.

    Attributes:
        inner: of the optimiser.
        done: steps done.
        ends: the last step of each window, counted from 1.
        weight_change: for each group the sum of the mean absolute updates in each window.
        gradient_norm: for each group the sum of the norms of the gradients in each window.
    """

    inner: PyTree
    done: Int[Array, "*members"]
    ends: Int[Array, "*members windows"]
    weight_change: dict[str, Float[Array, "*members windows"]]
    gradient_norm: dict[str, Float[Array, "*members windows"]]


@dataclass(frozen=True)
class Trace:
    """Means over windows of steps, for each member of an ensemble and each group of parameters.

    Attributes:
        steps: at the end of each window.
        weight_change: mean absolute change of a parameter in one step.
        gradient_norm: mean Euclidean norm of the gradient of the group, in nats per unit of a parameter, before it is
            clipped.

    A window in which a member made no step, since it had diverged or training had ended, is NaN.
    """

    steps: Int[np.ndarray, " windows"]
    weight_change: dict[str, Float[np.ndarray, "members windows"]]
    gradient_norm: dict[str, Float[np.ndarray, "members windows"]]


def traced(
    optimizer: optax.GradientTransformation, groups: dict[str, PyTree], *, steps: int, window: int
) -> optax.GradientTransformation:
    """`optimizer`, whose updates it does not change, with a trace of them in its state.

    The trace is kept in windows of `window` steps inside the compiled loop, saved in checkpoints and resumed with them;
    `read_trace` takes it out of what `training.fit` returns.

    Args:
        optimizer: an Optax transformation.
        groups: masks of the parameters of one model, as from `parameter_groups`.
        steps: of the training.
        window: steps whose mean is taken; the last window may be shorter.

    Raises:
        ValueError: `steps` or `window` is not positive.

    Example:
        >>> groups = parameter_groups(member(models, 0))
        >>> optimizer = traced(adam(1e-3, 10_000), groups, steps=10_000, window=100)
        >>> trace = read_trace(fit(models, loss, key=key, steps=10_000, optimizer=optimizer).optimizer_state)
        >>> trace.weight_change["scale"] / trace.weight_change["rest"]
    """
    if steps < 1 or window < 1:
        raise ValueError(f"steps and window must be positive, got {steps} and {window}")
    masks = {name: jax.tree.map(np.asarray, mask) for name, mask in groups.items()}
    sizes = {name: sum(np.sum(keep) for keep in jax.tree.leaves(mask)) for name, mask in masks.items()}
    ends = np.minimum(np.arange(window, steps + window, window), steps)

    def init(parameters: PyTree) -> TraceState:
        zeros = {name: jnp.zeros(len(ends)) for name in groups}
        return TraceState(optimizer.init(parameters), jnp.zeros((), int), jnp.asarray(ends), zeros, zeros)

    def update(gradients: PyTree, state: TraceState, parameters: PyTree = None) -> tuple[PyTree, TraceState]:
        updates, inner = optimizer.update(gradients, state.inner, parameters)
        index = state.done // window
        changes, norms = {}, {}
        for name, mask in masks.items():
            change = _masked_sum(jnp.abs, updates, mask) / max(sizes[name], 1)
            norm = jnp.sqrt(_masked_sum(jnp.square, gradients, mask))
            changes[name] = state.weight_change[name].at[index].add(change)
            norms[name] = state.gradient_norm[name].at[index].add(norm)
        return updates, TraceState(inner, state.done + 1, state.ends, changes, norms)

    return optax.GradientTransformation(init, update)


def read_trace(state: TraceState) -> Trace:
    """The means of what was traced; `state` is the `optimizer_state` of a `Fit`."""
    ends, done = np.asarray(state.ends), np.asarray(state.done)[:, None]
    lengths = np.diff(ends, axis=-1, prepend=0)
    counts = np.clip(done - (ends - lengths), 0, lengths)

    def means(sums: Float[Array, "members windows"]) -> Float[np.ndarray, "members windows"]:
        return np.where(counts > 0, np.asarray(sums, np.float64) / np.maximum(counts, 1), np.nan)

    return Trace(ends[0], jax.tree.map(means, state.weight_change), jax.tree.map(means, state.gradient_norm))


def _masked_sum(function: Callable[[Array], Array], tree: PyTree, mask: PyTree) -> Float[Array, ""]:
    pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(mask))
    # Where an array is in a group as a whole or not at all, its mask need not be read in every step.
    sums = [jnp.sum(function(leaf), where=None if keep.all() else keep) for leaf, keep in pairs if keep.any()]
    return reduce(jnp.add, sums, jnp.zeros(()))
