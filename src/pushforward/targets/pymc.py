"""The posterior of a PyMC model as a target (extra `pymc`)."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.devices import double_precision
from pushforward.errors import UserError, imported
from pushforward.targets.base import Model, Parameter, Target, Values
from pushforward.targets.callables import checked, first_line

WORDS = {
    "LogTransform": "> 0",
    "LogExpM1": "> 0",
    "SimplexTransform": "on the simplex",
    "Ordered": "ordered",
    "CircularTransform": "an angle",
}


def from_pymc(model: Any, *, name: str = "model") -> Target:
    """The posterior of a PyMC model, in the coordinates in which PyMC's samplers work, through its JAX backend.

    The precision of the process, which PyTensor's JAX linker switches to double when it is imported, stays as it was.

    Args:
        model: a `pymc.Model`.
        name: what reports call it.

    Raises:
        UserError: a latent variable is discrete, there is none, JAX cannot run the model, or the density is finite at
            no start.

    Example:
        >>> with pm.Model() as model:
        ...     mu = pm.Normal("mu", 0, 5)
        ...     pm.Normal("y", mu, 1, observed=y)
        >>> target = from_pymc(model)
    """
    imported("pymc", "pip install 'pushforward[pymc]' on Python 3.12 or newer")
    before = jax.config.jax_enable_x64
    try:
        from pymc.sampling.jax import get_jaxified_graph, get_jaxified_logp
    finally:
        jax.config.update("jax_enable_x64", before)
    if not model.free_RVs:
        raise UserError(f"{name} has no latent variable: there is nothing to infer")
    discrete = [rv.name for rv in model.free_RVs if np.dtype(rv.dtype).kind not in "f"]
    if discrete:
        raise UserError(f"{name} has the discrete latent variable {discrete[0]!r}: sum over it in the model")
    values = model.value_vars
    start = model.initial_point()
    shapes = [np.shape(start[value.name]) for value in values]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    outputs = [rv for rv in model.unobserved_value_vars if rv.name not in {value.name for value in values}]
    untransformed = {value.name: value for value in values}
    try:
        with double_precision():
            log_density = get_jaxified_logp(model)
            constrained = get_jaxified_graph(inputs=values, outputs=outputs) if outputs else lambda *_: []
            backward = _unconstraining(model, get_jaxified_graph)
            each = model.logp(vars=model.observed_RVs, sum=False) if model.observed_RVs else []
            observations = get_jaxified_graph(inputs=values, outputs=each) if each else lambda *_: []
    except Exception as error:
        raise UserError(f"{name} cannot be run by JAX: {first_line(error)}") from error

    def split(z: Float[Array, " D"]) -> list[Array]:
        return [part.reshape(shape) for part, shape in zip(jnp.split(z, ends[:-1].tolist()), shapes)]

    def of_coordinates(z: Float[Array, " D"]) -> Float[Array, ""]:
        return jnp.asarray(log_density(split(z)), z.dtype).reshape(())

    def constrain(z: Float[Array, " D"]) -> Values:
        parts = split(z)
        own = {each: part for each, part in zip(untransformed, parts) if each in {rv.name for rv in model.free_RVs}}
        return own | {rv.name: jnp.asarray(value) for rv, value in zip(outputs, constrained(*parts))}

    def unconstrain(parameters: Values) -> Float[Array, " D"]:
        parts = backward(*(jnp.asarray(parameters[rv.name]) for rv in model.free_RVs))
        z = jnp.concatenate([jnp.ravel(part) for part in parts])
        if not np.isfinite(z).all():
            raise ValueError("a parameter lies outside of its support")
        return z

    def log_likelihood(parameters: Values) -> Values:
        found = observations(*backward(*(parameters[rv.name] for rv in model.free_RVs)))
        return {rv.name: jnp.asarray(value) for rv, value in zip(model.observed_RVs, found)}

    sizes = {rv.name: shape for rv, shape in zip(model.free_RVs, _constrained_shapes(model))}
    described = Model(
        parameters=tuple(Parameter(rv.name, sizes[rv.name], _words(model, rv)) for rv in model.free_RVs),
        constrain=constrain,
        unconstrain=unconstrain,
        kind="PyMC model",
        log_likelihood=log_likelihood if model.observed_RVs else None,
        observed={rv.name: np.asarray(model.rvs_to_values[rv].data) for rv in model.observed_RVs},
    )
    with double_precision():
        return checked(Target(name, int(ends[-1]), of_coordinates, model=described), walls=True)


def _unconstraining(model: Any, jaxified: Any) -> Any:
    """From the free variables, in their order, to the values that PyMC's samplers see."""
    from pytensor.graph.replace import clone_replace

    inputs = {rv: rv.type(name=f"{rv.name}_given") for rv in model.free_RVs}
    moved = []
    for rv in model.free_RVs:
        transform = model.rvs_to_transforms[rv]
        moved.append(inputs[rv] if transform is None else transform.forward(inputs[rv], *rv.owner.inputs))
    return jaxified(inputs=list(inputs.values()), outputs=clone_replace(moved, replace=inputs))


def _constrained_shapes(model: Any) -> list[tuple[int, ...]]:
    shapes = model.eval_rv_shapes()
    return [tuple(map(int, shapes[rv.name])) for rv in model.free_RVs]


def _words(model: Any, rv: Any) -> str:
    transform = model.rvs_to_transforms[rv]
    if transform is None:
        return ""
    kind = type(transform).__name__
    return WORDS.get(kind, "between bounds" if kind.startswith("Interval") else kind)
