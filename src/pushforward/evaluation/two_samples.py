"""Whether a classifier tells two samples apart (Friedman, 2003; Lopez-Paz & Oquab, 2017)."""

from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from pushforward.types import PRNGKeyArray

BATCH, LEARNING_RATE, DECAY = 200, 1e-3, 1e-4
TOLERANCE, PATIENCE, MOST_PASSES = 1e-4, 10, 10_000


def c2st(
    reference: Float[np.ndarray, "n D"], sample: Float[np.ndarray, "m D"], *, seed: int = 1, folds: int = 5
) -> float:
    """The share of held-out points that a classifier assigns to the right sample: 0.5 where none can tell them apart.

    By the definition of Lueckmann et al., 2021, "Benchmarking simulation-based inference": both in standard deviations
    of the reference; a network of two hidden layers of 10 D units, with the start, the penalty, the batches and the
    stopping of scikit-learn's `MLPClassifier`; Adam; five folds. All of it is one compiled program.

    Args:
        reference: draws to be trusted.
        sample: draws that are judged.
        seed: of the network and the folds.
        folds: of the cross-validation.

    Raises:
        ValueError: a number is not finite, one of the reference does not vary, or there are fewer points than folds.
    """
    if not (np.isfinite(reference).all() and np.isfinite(sample).all()):
        raise ValueError("a classifier takes finite numbers")
    mean, sd = reference.mean(axis=0), reference.std(axis=0, ddof=1)
    if not (sd > 0).all():
        raise ValueError("a number of the reference does not vary")
    points = np.concatenate([(reference - mean) / sd, (sample - mean) / sd]).astype(np.float32)
    labels = np.repeat([0.0, 1.0], [len(reference), len(sample)]).astype(np.float32)
    if not 2 <= folds <= len(points):
        raise ValueError(f"{len(points)} points cannot be divided into {folds} folds")
    key_order, key_folds = jax.random.split(jax.random.key(seed))
    order = np.asarray(jax.random.permutation(key_order, len(points)))
    scores = []
    for fold, key in enumerate(jax.random.split(key_folds, folds)):
        held = np.arange(len(points)) % folds == fold
        train, test = order[~held], order[held]
        scores.append(float(_accuracy(points[train], labels[train], points[test], labels[test], key)))
    return float(np.mean(scores))


_Network = list[tuple[Array, Array]]


class _Training(NamedTuple):
    """What a pass over the points changes."""

    network: _Network
    optimizer: optax.OptState
    best: Float[Array, ""]
    waited: Int[Array, ""]
    passes: Int[Array, ""]


@jax.jit
def _accuracy(
    points: Float[Array, "n D"],
    labels: Float[Array, " n"],
    test: Float[Array, "m D"],
    truths: Float[Array, " m"],
    key: PRNGKeyArray,
) -> Float[Array, ""]:
    """The share of test points that a network trained on the others assigns to the right sample."""
    n, dim = points.shape
    batch = min(BATCH, n)
    batches = -(-n // batch)
    optimizer = optax.adam(LEARNING_RATE)

    def loss(network: _Network, rows: Array, weights: Array) -> tuple[Array, Array]:
        logits, count = _logits(network, points[rows]), weights.sum()
        total = weights @ optax.sigmoid_binary_cross_entropy(logits, labels[rows])
        penalty = DECAY / 2 * sum(jnp.sum(weight**2) for weight, _ in network)
        value = (total + penalty) / count
        return value, value * count

    def one_pass(state: _Training) -> _Training:
        order = jax.random.permutation(jax.random.fold_in(key, state.passes), n)
        places = jnp.arange(batches * batch)
        rows = order[jnp.minimum(places, n - 1)].reshape(batches, batch)
        weights = (places < n).astype(points.dtype).reshape(batches, batch)

        def step(carry: tuple[_Network, optax.OptState], each: tuple[Array, Array]) -> tuple[Any, Array]:
            network, optimizer_state = carry
            (_, total), slope = jax.value_and_grad(loss, has_aux=True)(network, *each)
            update, optimizer_state = optimizer.update(slope, optimizer_state)
            return (optax.apply_updates(network, update), optimizer_state), total

        (network, optimizer_state), totals = lax.scan(step, (state.network, state.optimizer), (rows, weights))
        found = totals.sum() / n
        waited = jnp.where(found > state.best - TOLERANCE, state.waited + 1, 0)
        return _Training(network, optimizer_state, jnp.minimum(found, state.best), waited, state.passes + 1)

    def unfinished(state: _Training) -> Array:
        return (state.waited <= PATIENCE) & (state.passes < MOST_PASSES)

    sizes = (dim, 10 * dim, 10 * dim, 1)
    network = [_layer(each, *pair) for each, pair in zip(jax.random.split(key, 3), pairwise(sizes))]
    zero = jnp.zeros((), int)
    start = _Training(network, optimizer.init(network), jnp.asarray(jnp.inf, points.dtype), zero, zero)
    trained = lax.while_loop(unfinished, one_pass, start).network
    return jnp.mean((_logits(trained, test) > 0) == (truths > 0.5))


def _layer(key: PRNGKeyArray, inputs: int, outputs: int) -> tuple[Float[Array, "i o"], Float[Array, " o"]]:
    """Uniform weights and biases, of Glorot's width; narrower for the output."""
    bound = ((2.0 if outputs == 1 else 6.0) / (inputs + outputs)) ** 0.5
    key_weight, key_bias = jax.random.split(key)
    draw = partial(jax.random.uniform, minval=-bound, maxval=bound, dtype=jnp.float32)
    return draw(key_weight, (inputs, outputs)), draw(key_bias, (outputs,))


def _logits(network: _Network, points: Float[Array, "n D"]) -> Float[Array, " n"]:
    for weight, bias in network[:-1]:
        points = jax.nn.relu(points @ weight + bias[None])
    weight, bias = network[-1]
    return (points @ weight + bias[None])[:, 0]
