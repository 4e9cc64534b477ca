"""Unnormalised densities: what a flow is fitted to."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from pushforward.quadrature import Box
from pushforward.types import PRNGKeyArray

COORDINATES = 6

Values = Mapping[str, Any]
"""Named arrays of parameters."""


@dataclass(frozen=True)
class Parameter:
    """A named array of parameters.

    Attributes:
        name: as in the model.
        shape: of the array.
        words: where it lies, such as `> 0`; nothing where it may be any real array.
        periodic: whether its numbers are angles.
    """

    name: str
    shape: tuple[int, ...] = ()
    words: str = ""
    periodic: bool = False

    def __str__(self) -> str:
        size = f" ({', '.join(map(str, self.shape))})" if self.shape else ""
        return f"{self.name}{size}{' ' * bool(self.words)}{self.words}"


@dataclass(frozen=True)
class Model:
    """What a target knows of the model that it is the posterior of.

    Attributes:
        parameters: those that the coordinates stand for, in their order.
        constrain: from coordinates `(D,)` to the parameters by name, written with `jax.numpy`; with them what the model
            computes of them.
        unconstrain: from parameters by name to coordinates `(D,)`.
        kind: what the model is, such as `"NumPyro model"`.
        angles: indices of the coordinates that are periodic.
        predict: `(key, parameters)` to simulated observations by name, where the model can simulate.
        prior: `key` to parameters and observations drawn from the prior, where the model has one.
        log_likelihood: parameters to the log-likelihood of every observation by name, in nats, where it is known.
        observed: the data by name.
    """

    parameters: tuple[Parameter, ...]
    constrain: Callable[[Float[Array, " D"]], Values]
    unconstrain: Callable[[Values], Float[Array, " D"]]
    kind: str = "model"
    angles: tuple[int, ...] = ()
    predict: Callable[[PRNGKeyArray, Values], Values] | None = None
    prior: Callable[[PRNGKeyArray], Values] | None = None
    log_likelihood: Callable[[Values], Values] | None = None
    observed: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Target:
    """A density known up to its normaliser.

    Attributes:
        name: what it is called in results.
        dim: dimensions D.
        log_density: unnormalised log density of one point, `(D,)` -> `()`, in nats; finite on all of R^D.
        log_z: log of the integral of `exp(log_density)`, or None where it is not known.
        box: in 2-D, `(low, high)` of each dimension around all but a negligible part of the mass; for plots and grids.
        sample: exact samples, `(key, n)` -> `(n, D)`, where there is a way to draw them.
        model: what it is the posterior of, where it has named parameters.
        twice_differentiable: whether JAX can take second derivatives of the log density.
        modes: centres of parts of equal mass, `(modes, D)`, where it is made of such.
    """

    name: str
    dim: int
    log_density: Callable[[Float[Array, " D"]], Float[Array, ""]]
    log_z: float | None = None
    box: Box | None = None
    sample: Callable[[PRNGKeyArray, int], Float[Array, "n D"]] | None = None
    model: Model | None = None
    twice_differentiable: bool = True
    modes: Float[np.ndarray, "modes D"] | None = field(default=None, compare=False)

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """What the coordinates stand for; the vector `z` itself where there is no model."""
        return (Parameter("z", (self.dim,)),) if self.model is None else self.model.parameters

    @property
    def angles(self) -> tuple[int, ...]:
        """Indices of the coordinates that are periodic."""
        return () if self.model is None else self.model.angles

    def describe(self) -> str:
        """One line: what it is, its dimensions, its parameters and where they lie."""
        kind = "density" if self.model is None else self.model.kind
        parameters = ", ".join(map(str, self.parameters))
        return f"{kind}, {self.dim} unconstrained parameter{'s' if self.dim > 1 else ''}: {parameters}"

    def constrain(self, z: Float[Array, "... D"]) -> Values:
        """The parameters by name, `(*batch, D)` -> `(*batch, *shape)` each, and what the model computes of them."""
        one = (lambda z: {"z": z}) if self.model is None else self.model.constrain
        flat = jax.vmap(one)(z.reshape(-1, self.dim))
        return {name: values.reshape(*z.shape[:-1], *values.shape[1:]) for name, values in flat.items()}

    def unconstrain(self, parameters: Values) -> Float[Array, "... D"]:
        """The coordinates of parameters by name, `(*batch, *shape)` each -> `(*batch, D)`.

        Raises:
            ValueError: a parameter is missing, has another shape, or lies outside of its support.
        """
        missing = [parameter.name for parameter in self.parameters if parameter.name not in parameters]
        if missing:
            known = ", ".join(parameter.name for parameter in self.parameters)
            raise ValueError(f"{self.name} has the parameters {known}; {missing[0]} is missing")
        arrays = {each.name: jnp.asarray(parameters[each.name], jnp.result_type(float)) for each in self.parameters}
        batches = {arrays[each.name].shape[: arrays[each.name].ndim - len(each.shape)] for each in self.parameters}
        if len(batches) > 1:
            raise ValueError(f"the parameters have different batches: {', '.join(map(str, sorted(batches)))}")
        (batch,) = batches
        one = (lambda values: values["z"]) if self.model is None else self.model.unconstrain
        rows = [one({name: array[index] for name, array in arrays.items()}) for index in np.ndindex(*batch)]
        z = jnp.stack(rows)
        if not np.isfinite(z).all():
            raise ValueError(f"a parameter of {self.name} lies outside of its support")
        return z.reshape(*batch, self.dim)

    def log_densities(self, x: Float[Array, "... D"]) -> Float[Array, "..."]:
        """Unnormalised log density of a batch, `(*batch, D)` -> `batch`."""
        flat = jax.vmap(self.log_density)(x.reshape(-1, self.dim))
        return flat.reshape(x.shape[:-1])

    def usable(self, x: Float[Array, "n D"]) -> Bool[np.ndarray, " n"]:
        """Whether the log density and its gradient are finite, at each of the points."""
        return np.asarray(_usable(self.log_density, x))

    def complaint(self, x: Float[Array, "n D"]) -> str | None:
        """What is not finite at the first such of the points: the log density, or its gradient; None where all are."""
        found = ~self.usable(x)
        if not found.any():
            return None
        index = int(np.argmax(found))
        value = float(self.log_density(x[index]))
        shown = [f"{coordinate:.4g}" for coordinate in np.asarray(x)[index, :COORDINATES]]
        where = ", ".join([*shown, "..."] if self.dim > COORDINATES else shown)
        if np.isfinite(value):
            return f"the gradient of {self.name} is not finite at z = ({where})"
        return f"{self.name} is {value} at z = ({where})"


@partial(jax.jit, static_argnums=0)
def _usable(log_density: Callable[[Array], Array], x: Float[Array, "n D"]) -> Bool[Array, " n"]:
    def finite(x: Float[Array, " D"]) -> Bool[Array, ""]:
        value, gradient = jax.value_and_grad(log_density)(x)
        return jnp.isfinite(value) & jnp.all(jnp.isfinite(gradient))

    return jax.vmap(finite)(x)


def cut_open(target: Target) -> Target:
    """The same target with unbounded coordinates for its angles, `a = pi tanh(z / 2)`, which do not wrap around.

    Its density on R^D has the mass of one turn; that of periodic coordinates has it again and again. Mass on both sides
    of the cut, at pi, becomes two modes.

    Args:
        target: with or without angles.
    """
    model = target.model
    if model is None or not model.angles:
        return target
    mask = np.isin(np.arange(target.dim), model.angles)

    def to_periodic(z: Float[Array, " D"]) -> tuple[Float[Array, " D"], Float[Array, ""]]:
        log_slopes = math.log(2 * math.pi) + jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z)
        return jnp.where(mask, math.pi * jnp.tanh(z / 2), z), jnp.sum(jnp.where(mask, log_slopes, 0))

    def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
        periodic, log_det = to_periodic(z)
        return target.log_density(periodic) + log_det

    def unconstrain(values: Values) -> Float[Array, " D"]:
        z = model.unconstrain(values)
        return jnp.where(mask, 2 * jnp.arctanh(z / math.pi), z)

    opened = replace(model, constrain=lambda z: model.constrain(to_periodic(z)[0]), unconstrain=unconstrain, angles=())
    return replace(target, log_density=log_density, model=opened)
