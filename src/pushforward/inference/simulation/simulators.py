"""Simulators: run at draws from a prior, in one compiled program or side by side on the host, and kept on disk."""

import inspect
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import joblib
import numpy as np
from jaxtyping import Array, Float

from pushforward.errors import UserError
from pushforward.targets import Target
from pushforward.targets.callables import first_line
from pushforward.types import PRNGKeyArray

PART = 1000
"""Simulations that are written to disk at a time."""
NOT_FINITE = "its output is not finite"

Where = Literal["jax", "host"]
OnProgress = Callable[[int], None]


@dataclass(frozen=True)
class Simulator:
    """A function that simulates data from parameters.

    Attributes:
        function: its first argument is `key`, of a function written with `jax.numpy`, or `rng`, NumPy's generator, of
            any other; the others are the parameters by name. It returns an array.
        name: what messages call it.
    """

    function: Callable[..., Any]
    name: str = "simulator"

    def __post_init__(self) -> None:
        if self._arguments[:1] not in (["key"], ["rng"]):
            raise UserError(
                f"{self.name} must take `key` first, if it is written with jax.numpy, or `rng`, NumPy's generator, "
                f"then parameters by name; it takes {', '.join(self._arguments) or 'nothing'}"
            )

    @property
    def _arguments(self) -> list[str]:
        return list(inspect.signature(self.function).parameters)

    @property
    def where(self) -> Where:
        """Where it runs: compiled and vectorised, or on the host."""
        return "jax" if self._arguments[0] == "key" else "host"

    def check(self, prior: Target) -> None:
        """Refuse a prior whose parameters are not the function's arguments.

        Args:
            prior: what the parameters are drawn from.

        Raises:
            UserError: they are not.
        """
        names = [parameter.name for parameter in prior.parameters]
        if sorted(names) != sorted(self._arguments[1:]):
            taken = ", ".join(self._arguments[1:]) or "none"
            raise UserError(f"{self.name} takes the parameters {taken}, the prior has {', '.join(names)}")


@dataclass(frozen=True)
class Simulations:
    """Parameters and the data that were simulated from them.

    Attributes:
        z: coordinates of the parameters, `(n, D)`.
        x: data, `(n, *event shape)`.
        failures: how often the simulator failed, by what it said; these are left out.
    """

    z: Float[np.ndarray, "n D"]
    x: Float[np.ndarray, "n ..."]
    failures: Mapping[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.z)

    @property
    def tried(self) -> int:
        """How many there were, those that failed included."""
        return len(self) + sum(self.failures.values())

    @property
    def complaint(self) -> str | None:
        """What of the simulations failed, in words."""
        if not self.failures:
            return None
        lost = sum(self.failures.values())
        worst = max(self.failures, key=lambda reason: self.failures[reason])
        return f"{lost:,} of {self.tried:,} simulations failed and are left out; most often: {worst}"

    def and_then(self, others: "Simulations") -> "Simulations":
        """Both.

        Args:
            others: of the same prior and simulator.
        """
        failures = dict(Counter(self.failures) + Counter(others.failures))
        return Simulations(np.concatenate([self.z, others.z]), np.concatenate([self.x, others.x]), failures)

    def save(self, path: Path) -> None:
        """Write them to a `.npz` file, whole or not at all.

        Args:
            path: of the file.
        """
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            reasons, counts = list(self.failures), list(self.failures.values())
            np.savez(file, z=self.z, x=self.x, reasons=np.array(reasons, np.str_), counts=np.array(counts, int))
        partial.replace(path)

    @staticmethod
    def load(path: Path) -> "Simulations":
        """What `save` has written.

        Args:
            path: of the file.
        """
        with np.load(path) as saved:
            failures = dict(zip(saved["reasons"].tolist(), saved["counts"].tolist()))
            return Simulations(saved["z"], saved["x"], failures)


def simulate(
    prior: Target,
    simulator: Simulator,
    key: PRNGKeyArray,
    n: int,
    *,
    draws: Callable[[PRNGKeyArray, int], Float[Array, "n D"]] | None = None,
    folder: Path | None = None,
    on_progress: OnProgress | None = None,
) -> Simulations:
    """Data simulated from draws of a prior.

    A simulation that raises, or whose output is not finite, is counted and left out.

    Args:
        prior: of the parameters.
        simulator: of the data.
        key: for parameters and simulator.
        n: how many simulations.
        draws: of coordinates, `(key, n)` to `(n, D)`, in place of those from the prior.
        folder: where parts are kept; those that are there are read and not simulated again.
        on_progress: called with the number that is done.

    Raises:
        UserError: the prior is not the simulator's, its output changes its shape or is no numbers, or every simulation
            of the first thousand fails.
    """
    if n < 1:
        raise UserError(f"the number of simulations must be 1 or more, got {n}")
    simulator.check(prior)
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    done: Simulations | None = None
    draws = draws or from_prior(prior)
    run = _on_host(prior, simulator) if simulator.where == "host" else _compiled(prior, simulator)
    for index, start in enumerate(range(0, n, PART)):
        path = None if folder is None else folder / f"{index:05d}.npz"
        if path is not None and path.is_file():
            part = Simulations.load(path)
        else:
            key_draws, key_run = jax.random.split(jax.random.fold_in(key, index))
            part = run(draws(key_draws, min(PART, n - start)), key_run)
            if path is not None:
                part.save(path)
        if index == 0 and not len(part):
            raise UserError(f"{simulator.name} fails on every one of {part.tried:,} draws: {next(iter(part.failures))}")
        if done is not None and len(part) and part.x.shape[1:] != done.x.shape[1:]:
            raise _changed(simulator, done.x.shape[1:], part.x.shape[1:])
        done = part if done is None else done.and_then(part) if len(part) else done
        if on_progress is not None:
            on_progress(min(start + PART, n))
    assert done is not None
    return done


def from_prior(prior: Target) -> Callable[[PRNGKeyArray, int], Float[Array, "n D"]]:
    """Draws of coordinates from a prior.

    Args:
        prior: with draws.

    Returns:
        From a key and a number n to coordinates `(n, D)`.

    Raises:
        UserError: it has none.
    """
    model = prior.model
    if model is None or model.prior is None:
        raise UserError(f"{prior.name} has no draws")
    draw, unconstrain = model.prior, model.unconstrain

    def one(key: PRNGKeyArray) -> Float[Array, " D"]:
        return unconstrain(draw(key))

    coordinates = jax.jit(jax.vmap(one))

    return lambda key, n: coordinates(jax.random.split(key, n))


Runner = Callable[[Float[Array, "n D"], PRNGKeyArray], Simulations]


def _compiled(prior: Target, simulator: Simulator) -> Runner:
    def one(z: Float[Array, " D"], key: PRNGKeyArray) -> Array:
        return jnp.asarray(simulator.function(key, **_parameters(prior, z)), float)

    compiled = jax.jit(jax.vmap(one))

    def run(z: Float[Array, "n D"], key: PRNGKeyArray) -> Simulations:
        try:
            x = np.asarray(compiled(z, jax.random.split(key, len(z))))
        except jax.errors.JAXTypeError as error:
            raise UserError(
                f"{simulator.name} cannot be traced by JAX; write it with jax.numpy, or take `rng` first: "
                f"{first_line(error)}"
            ) from error
        except UserError:
            raise
        except Exception as error:
            raise UserError(f"{simulator.name} failed: {type(error).__name__}: {first_line(error)}") from error
        return _finite(np.asarray(z), x, {})

    return run


def _on_host(prior: Target, simulator: Simulator) -> Runner:
    constrain = jax.jit(jax.vmap(lambda z: _parameters(prior, z)))

    def run(z: Float[Array, "n D"], key: PRNGKeyArray) -> Simulations:
        values = {name: np.asarray(array) for name, array in constrain(z).items()}
        seed = np.asarray(jax.random.key_data(key)).tolist()
        rows = [{name: array[index] for name, array in values.items()} for index in range(len(z))]
        # Processes, since a simulator of the host may hold the interpreter's lock.
        found = joblib.Parallel(n_jobs=min(os.cpu_count() or 1, len(rows)))(
            joblib.delayed(_simulated)(simulator.function, [*seed, index], row) for index, row in enumerate(rows)
        )
        reasons = Counter(outcome for outcome in found if isinstance(outcome, str))
        kept = [index for index, outcome in enumerate(found) if not isinstance(outcome, str)]
        arrays = [np.asarray(found[index]) for index in kept]
        shapes = list(dict.fromkeys(array.shape for array in arrays))
        if len(shapes) > 1:
            raise _changed(simulator, *shapes[:2])
        if arrays and arrays[0].dtype.kind not in "fiub":
            raise UserError(f"{simulator.name} returns values of type {arrays[0].dtype}, not real numbers")
        x = np.stack(arrays).astype(np.float64) if arrays else np.zeros((0,))
        return _finite(np.asarray(z)[kept], x, dict(reasons))

    return run


def _simulated(function: Callable[..., Any], seed: list[int], parameters: dict[str, Any]) -> Any:
    """The output of one simulation, or what it raised."""
    try:
        return np.asarray(function(np.random.default_rng(seed), **parameters))
    except Exception as error:
        return f"{type(error).__name__}: {first_line(error)}"


def _parameters(prior: Target, z: Float[Array, " D"]) -> dict[str, Array]:
    values = prior.constrain(z)
    return {parameter.name: values[parameter.name] for parameter in prior.parameters}


def _finite(z: Float[np.ndarray, "n D"], x: Float[np.ndarray, "n ..."], failures: dict[str, int]) -> Simulations:
    finite = np.isfinite(x).all(axis=tuple(range(1, x.ndim)))
    if not finite.all():
        failures = failures | {NOT_FINITE: int(np.sum(~finite))}
    return Simulations(z[finite], x[finite], failures)


def _changed(simulator: Simulator, first: tuple[int, ...], other: tuple[int, ...]) -> UserError:
    return UserError(f"{simulator.name} returns arrays of different shapes, {first} and {other}")


def data_names(shape: tuple[int, ...]) -> list[str]:
    """What the numbers of data of a shape are called.

    Args:
        shape: of what one simulation returns.
    """
    return [f"x[{', '.join(map(str, index))}]" for index in np.ndindex(*shape)] if shape else ["x"]
