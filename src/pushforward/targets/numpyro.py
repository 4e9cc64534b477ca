"""The posterior of a NumPyro model as a target (extra `numpyro`)."""

import inspect
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.devices import double_precision
from pushforward.errors import UserError, imported
from pushforward.targets.base import Model, Parameter, Target, Values
from pushforward.targets.callables import checked, first_line
from pushforward.types import PRNGKeyArray

INSTALL = "pip install 'pushforward[numpyro]'"
WORDS = {
    "_Real": "",
    "_Circular": "an angle",
    "_OrderedVector": "ordered",
    "_PositiveOrderedVector": "ordered, > 0",
    "_Simplex": "on the simplex",
    "_CorrCholesky": "the Cholesky factor of a correlation matrix",
    "_CorrMatrix": "a correlation matrix",
    "_LowerCholesky": "lower triangular",
    "_PositiveDefinite": "positive definite",
    "_Sphere": "a unit vector",
    "_ZeroSum": "of sum 0",
}


def from_numpyro(model: Callable[..., Any], *args: Any, name: str | None = None, **kwargs: Any) -> Target:
    """The posterior of a NumPyro model, given its arguments.

    Its coordinates are those in which NumPyro's samplers work, except that an angle is its own, periodic coordinate.

    Args:
        model: a function with `numpyro.sample` statements.
        args: its arguments.
        name: what reports call it.
        kwargs: its arguments by name.

    Raises:
        UserError: the arguments do not fit, a latent site is discrete, there is none, the model subsamples its data,
            a support is unknown, or the density is finite at no start.

    Example:
        >>> target = from_numpyro(eight_schools, y=y, sigma=sigma)
    """
    imported("numpyro", INSTALL)
    # A model that JAX has traced in single precision before cannot be trusted to be traced again in double precision.
    with double_precision():
        return _from_numpyro(model, args, kwargs, name or str(getattr(model, "__name__", "model")))


def _from_numpyro(model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Target:
    from numpyro import handlers
    from numpyro.distributions import biject_to, constraints
    from numpyro.infer.util import constrain_fn, log_density, potential_energy, unconstrain_fn

    try:
        inspect.signature(model).bind(*args, **kwargs)
    except TypeError as error:
        raise UserError(f"{name}: {first_line(error)}") from error
    try:
        sites = _traced(model, 0, args, kwargs)
    except Exception as error:
        raise UserError(f"{name} cannot be run with these data: {first_line(error)}") from error
    latent = {key: site for key, site in sites.items() if site["type"] == "sample" and not site["is_observed"]}
    for key, site in sites.items():
        if site["type"] == "plate" and len(site["value"]) < site["args"][0]:
            raise UserError(f"{name} subsamples its data in the plate {key!r}: a posterior takes them whole")
        if site["type"] == "sample" and site["fn"].support.is_discrete and not site["is_observed"]:
            raise UserError(f"{name} has the discrete latent site {key!r}: sum over it in the model")
    if not latent:
        raise UserError(f"{name} has no latent site: there is nothing to infer")
    angles = {key for key, site in latent.items() if _base(site["fn"].support) is constraints.circular}
    starts: dict[str, Array] = {}
    for key, site in latent.items():
        try:
            starts[key] = site["value"] if key in angles else biject_to(site["fn"].support).inv(site["value"])
        except (NotImplementedError, KeyError, ValueError) as error:
            raise UserError(f"{name}: no coordinates for the site {key!r}, {site['fn'].support}") from error
    shapes = {key: jnp.shape(starts[key]) for key in sorted(starts)}
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    places = dict(zip(shapes, np.split(np.arange(ends[-1]), ends[:-1])))
    observed = {
        key: np.asarray(site["value"])
        for key, site in sites.items()
        if site["type"] == "sample" and site["is_observed"]
    }

    again = _traced(model, 1, args, kwargs)

    def unravel(z: Float[Array, " D"]) -> dict[str, Array]:
        parts = jnp.split(z, ends[:-1].tolist())
        return {key: part.reshape(shape) for (key, shape), part in zip(shapes.items(), parts)}

    def wrapped(values: dict[str, Array]) -> dict[str, Array]:
        return values | {key: jnp.mod(values[key] + jnp.pi, 2 * jnp.pi) - jnp.pi for key in angles}

    def with_angles(values: Values) -> Callable[..., Any]:
        return handlers.substitute(model, data={key: values[key] for key in angles})

    def of_coordinates(z: Float[Array, " D"]) -> Float[Array, ""]:
        values = wrapped(unravel(z))
        rest = {key: value for key, value in values.items() if key not in angles}
        with _angles_allowed():
            return -potential_energy(with_angles(values), args, kwargs, rest)

    def constrain(z: Float[Array, " D"]) -> Values:
        values = wrapped(unravel(z))
        rest = {key: value for key, value in values.items() if key not in angles}
        with _angles_allowed():
            found = constrain_fn(with_angles(values), args, kwargs, rest, return_deterministic=True)
        found |= {key: values[key] for key in angles}
        return {key: jnp.asarray(value) for key, value in found.items() if key not in observed}

    def unconstrain(values: Values) -> Float[Array, " D"]:
        given = {key: jnp.asarray(values[key]) for key in latent}
        rest = {key: value for key, value in given.items() if key not in angles}
        moved = unconstrain_fn(with_angles(given), args, kwargs, rest) | {key: given[key] for key in angles}
        return jnp.concatenate([moved[key].ravel() for key in shapes])

    def predict(key: PRNGKeyArray, values: Values) -> Values:
        given = {site: values[site] for site in latent}
        free = handlers.uncondition(handlers.substitute(model, data=given))
        simulated = handlers.trace(handlers.seed(free, key)).get_trace(*args, **kwargs)
        return {site: simulated[site]["value"] for site in observed}

    def prior(key: PRNGKeyArray) -> Values:
        simulated = handlers.trace(handlers.seed(handlers.uncondition(model), key)).get_trace(*args, **kwargs)
        return {site: simulated[site]["value"] for site in (*latent, *observed)}

    def log_likelihood(values: Values) -> Values:
        given = {site: values[site] for site in latent}
        _, trace = log_density(handlers.substitute(model, data=given), args, kwargs, {})
        return {site: trace[site]["fn"].log_prob(trace[site]["value"]) for site in observed}

    simulates = bool(observed)
    if observed:
        try:
            jax.eval_shape(predict, jax.random.key(0), {key: sites[key]["value"] for key in latent})
        except Exception as error:
            simulates = False
            warnings.warn(f"{name} cannot simulate observations: {first_line(error)}", stacklevel=2)
    described = Model(
        parameters=tuple(
            Parameter(
                key, jnp.shape(site["value"]), _words(site["fn"].support, again[key]["fn"].support), key in angles
            )
            for key, site in sorted(latent.items())
        ),
        constrain=constrain,
        unconstrain=unconstrain,
        kind="NumPyro model",
        angles=tuple(sorted(int(index) for key in angles for index in places[key])),
        predict=predict if simulates else None,
        prior=prior,
        log_likelihood=log_likelihood if observed else None,
        observed=observed,
    )
    return checked(Target(name, int(ends[-1]), of_coordinates, model=described), walls=True)


def runs_numpyro(function: Callable[..., Any], name: str, arguments: Mapping[str, Any]) -> bool:
    """Whether a function, called with these arguments, runs `numpyro.sample` or `numpyro.factor`.

    Args:
        function: perhaps a model.
        name: for messages.
        arguments: by name.

    Raises:
        UserError: NumPyro is not installed, or the function raises.
    """
    imported("numpyro", INSTALL)
    try:
        trace = _traced(function, 0, (), arguments)
    except Exception as error:
        raise UserError(f"{name} cannot be run with these data: {first_line(error)}") from error
    return any(site["type"] in ("sample", "factor") for site in trace.values())


def _traced(model: Callable[..., Any], seed: int, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The sites of a model, run at a point where its samplers start: a draw from a vague prior may be out of range."""
    from numpyro import handlers
    from numpyro.infer import init_to_uniform

    def start(site: dict[str, Any]) -> Any:
        try:
            return init_to_uniform(site)
        except (NotImplementedError, KeyError, ValueError):
            # A support without coordinates, which is refused by name later.
            return None

    with _angles_allowed():
        started = handlers.substitute(handlers.seed(model, jax.random.key(seed)), substitute_fn=start)
        return handlers.trace(started).get_trace(*args, **kwargs)


@contextmanager
def _angles_allowed() -> Iterator[None]:
    """Within it, NumPyro does not warn of angles, which are coordinates of their own here."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*poorly handles circular", category=UserWarning)
        yield


def _base(support: Any) -> Any:
    return getattr(support, "base_constraint", support)


def _words(support: Any, again: Any) -> str:
    """Where a parameter lies; `again` is its support at other values of the others, which it may depend on."""
    words = _words_of(_base(support))
    return words if words == _words_of(_base(again)) else "between bounds"


def _words_of(support: Any) -> str:
    bounds = {end: getattr(support, end, None) for end in ("lower_bound", "upper_bound")}
    if type(support).__name__ in WORDS:
        return WORDS[type(support).__name__]
    try:
        low, high = (None if end is None else f"{float(jnp.asarray(end)):g}" for end in bounds.values())
    except (TypeError, ValueError):
        return "between bounds"
    if low is not None and high is not None:
        return f"in ({low}, {high})"
    return f"> {low}" if low is not None else f"< {high}" if high is not None else str(support)
