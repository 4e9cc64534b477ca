"""Loss landscapes: Li et al., 2018, "Visualizing the Loss Landscape of Neural Nets"."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, PyTree

from pushforward.stability.groups import chosen_parameters, masked
from pushforward.stability.layers import over_layers
from pushforward.types import PRNGKeyArray


@dataclass(frozen=True)
class Landscape:
    """The loss on a square grid around a model.

    Attributes:
        coordinates: along both directions, from `-radius` to `radius`, in units of the norm of each filter: at 1 a
            filter has moved by as much as it is large. The model itself is at 0.
        loss: in nats; `loss[i, j]` is at `coordinates[i]` along the second direction and `coordinates[j]` along the
            first, as `contour(coordinates, coordinates, loss)` of Matplotlib takes it; inf where it was not finite.
    """

    coordinates: Float[np.ndarray, " points"]
    loss: Float[np.ndarray, "points points"]

    @property
    def non_finite(self) -> int:
        """How many points have a loss that is not finite."""
        return int(np.sum(~np.isfinite(self.loss)))


def random_directions(model: PyTree, key: PRNGKeyArray, *, mask: PyTree | None = None) -> tuple[PyTree, PyTree]:
    """Two random directions in the space of parameters, normalised per filter (Li et al., section 4).

    Every entry is drawn from N(0, 1); then each filter is scaled to the norm of the model's own. A filter is what leads
    to one output unit: a row of a matrix, the kernels of one output channel of a convolution; a vector (biases, log
    scales) and a scalar are one filter each. Where a filter of the model is zero, so is the direction. Layers of a
    `Stack` are normalised one by one.

    The draws for a parameter depend only on `key` and on its path, shape and type. So models of different architecture
    share the directions of what they have in common, and so do the members of an ensemble and the steps of a training.

    Args:
        model: one model, not an ensemble.
        key: of both directions.
        mask: which parameters move, as from `parameter_groups`: the others keep their values, and the directions of
            those that move do not change. All trained parameters unless given.
    """
    parameters = eqx.filter(model, eqx.is_inexact_array)
    moving = chosen_parameters(model, mask)

    def direction(key: PRNGKeyArray) -> PyTree:
        def draw(path: tuple[Any, ...], leaf: Array) -> Array:
            return jax.random.normal(
                jax.random.fold_in(key, crc32(jax.tree_util.keystr(path).encode())), leaf.shape, leaf.dtype
            )

        drawn = jax.tree.map_with_path(draw, parameters)
        return masked(over_layers(_normalised, drawn, parameters), moving)

    key_first, key_second = jax.random.split(key)
    return direction(key_first), direction(key_second)


def landscape(
    model: PyTree,
    loss: Callable[[Any], Float[Array, ""]],
    directions: tuple[PyTree, PyTree],
    *,
    radius: float = 1.0,
    points: int = 25,
    batch_size: int = 1,
) -> Landscape:
    """The loss at `model + a first + b second` for a grid of `a` and `b`, in one compiled program.

    Args:
        model: one model, not an ensemble.
        loss: of a model, in nats, with data and key fixed, such as `objectives.HeldOut`. Arrays of a loss that is a
            pytree are not compiled in.
        directions: as from `random_directions`.
        radius: where the grid ends.
        points: along each direction; odd, so that the model itself is on the grid.
        batch_size: points evaluated together: memory grows with it, and so does speed on an accelerator.

    Raises:
        ValueError: `points` is not odd and positive, or `batch_size` not positive.

    Example:
        >>> loss = HeldOut(data)
        >>> directions = random_directions(flow, jax.random.key(0), mask=parameter_groups(flow)["rest"])
        >>> surface = landscape(flow, loss, directions)
        >>> plt.contour(surface.coordinates, surface.coordinates, surface.loss)
    """
    if points < 1 or points % 2 == 0:
        raise ValueError(f"points must be odd and positive, got {points}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be positive, got {batch_size}")
    coordinates = np.linspace(-radius, radius, points)
    second, first = np.meshgrid(coordinates, coordinates, indexing="ij")
    places = jnp.asarray(np.stack([first.ravel(), second.ravel()], axis=-1), jnp.result_type(float))
    values = np.asarray(_losses(model, loss, directions, places, batch_size), np.float64)
    return Landscape(coordinates, np.where(np.isfinite(values), values, np.inf).reshape(points, points))


@eqx.filter_jit
def _losses(
    model: PyTree,
    loss: Callable[[Any], Float[Array, ""]],
    directions: tuple[PyTree, PyTree],
    places: Float[Array, "n 2"],
    batch_size: int,
) -> Float[Array, " n"]:
    parameters, rest = eqx.partition(model, eqx.is_inexact_array)

    def at(place: Float[Array, "2"]) -> Float[Array, ""]:
        moved = jax.tree.map(lambda p, first, second: p + place[0] * first + place[1] * second, parameters, *directions)
        return loss(eqx.combine(moved, rest))

    return lax.map(at, places, batch_size=batch_size)


def _normalised(_: object, direction: Array, parameter: Array) -> Array:
    """`direction` with the norm of `parameter` in every filter."""
    match parameter.ndim:
        case 0 | 1:
            axes = tuple(range(parameter.ndim))
        case 2:
            axes = (1,)
        case _:
            axes = tuple(range(parameter.ndim - 1))

    def norm(array: Array) -> Array:
        return jnp.sqrt(jnp.sum(array**2, axis=axes, keepdims=True))

    return direction * (norm(parameter) / norm(direction))
