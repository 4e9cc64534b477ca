"""A density of named, constrained arrays as a target."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.devices import double_precision
from pushforward.errors import UserError
from pushforward.supports import Support
from pushforward.targets.base import Model, Parameter, Target, Values
from pushforward.targets.callables import checked


def from_tree(log_density: Callable[[Any], Float[Array, ""]], supports: Any, *, name: str | None = None) -> Target:
    """The target of a function of named arrays, each with a support of its own.

    The function takes a pytree, such as a dict, of the structure of `supports`, and returns the unnormalised log
    density of the arrays, a scalar. The change of variables to coordinates on R^D is added.

    Args:
        log_density: written with `jax.numpy`, in nats.
        supports: a `Support` for each array, from `pushforward.supports`.
        name: what reports call it.

    Raises:
        UserError: a leaf of `supports` is no support, there is none, or the function cannot be used.

    Example:
        >>> from pushforward import supports
        >>> target = from_tree(
        ...     lambda p: -p["tau"] - jnp.sum((p["theta"] / p["tau"]) ** 2),
        ...     {"tau": supports.positive(), "theta": supports.real((8,))},
        ... )
    """
    leaves, structure = jax.tree.flatten_with_path(supports, is_leaf=lambda leaf: isinstance(leaf, Support))
    names = [jax.tree_util.keystr(path, simple=True, separator=".") or "z" for path, _ in leaves]
    parts: list[Support] = []
    for part_name, (_, support) in zip(names, leaves):
        if not isinstance(support, Support):
            raise UserError(f"the support of {part_name} must be one of pushforward.supports, got {support!r}")
        parts.append(support)
    if not parts:
        raise UserError("a target needs at least one parameter")
    ends = np.cumsum([support.size for support in parts])
    dim = int(ends[-1])

    def moved(z: Float[Array, " D"]) -> tuple[list[Array], Float[Array, ""]]:
        pairs = [
            part.bijection.forward_and_log_det(piece) for part, piece in zip(parts, jnp.split(z, ends[:-1].tolist()))
        ]
        return [value for value, _ in pairs], sum((log_det for _, log_det in pairs), jnp.zeros((), z.dtype))

    def of_coordinates(z: Float[Array, " D"]) -> Float[Array, ""]:
        values, log_det = moved(z)
        return log_density(jax.tree.unflatten(structure, values)) + log_det

    def constrain(z: Float[Array, " D"]) -> Values:
        return dict(zip(names, moved(z)[0]))

    def unconstrain(values: Values) -> Float[Array, " D"]:
        return jnp.concatenate([part.coordinates(values[name], name) for name, part in zip(names, parts)])

    model = Model(
        parameters=tuple(Parameter(name, part.shape, part.words, part.periodic) for name, part in zip(names, parts)),
        constrain=constrain,
        unconstrain=unconstrain,
        kind="density of named arrays",
        angles=tuple(
            int(index) for part, end in zip(parts, ends) if part.periodic for index in range(end - part.size, end)
        ),
    )
    if name is None:
        name = str(getattr(log_density, "__name__", "target"))
    with double_precision():
        return checked(Target(name, dim, of_coordinates, model=model), walls=True)
