"""An inference from simulations, on disk."""

import json
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.errors import UserError
from pushforward.evaluation import Calibration, Predictive
from pushforward.experiments.infer.config import InferConfig
from pushforward.experiments.runs import Run, Sampler
from pushforward.inference.simulation import Simulations, Simulator, prior
from pushforward.inference.summary import columns
from pushforward.saving import load_flow
from pushforward.targets import Target
from pushforward.targets.callables import first_line
from pushforward.targets.sources import named_object
from pushforward.training import Checkpoints
from pushforward.types import PRNGKeyArray

FLOW, DRAWS, CALIBRATION, PREDICTIVE, SIMULATIONS = (
    "flow.pf",
    "draws.npz",
    "calibration.npz",
    "predictive.npz",
    "simulations",
)


@dataclass(frozen=True)
class InferRun(Run):
    """A prior, a simulator, its simulations, and the posterior that they tell."""

    config: InferConfig

    @cached_property
    def simulator(self) -> Simulator:
        """What simulates.

        Raises:
            UserError: it is not there, or is no simulator.
        """
        module, _, name = self.config.simulator.rpartition(":")
        found = named_object(module, name)
        if not callable(found):
            raise UserError(f"{self.config.simulator} is a {type(found).__name__}, no function")
        return Simulator(found, name)

    @cached_property
    def prior(self) -> Target:
        """What parameters are drawn from.

        Raises:
            UserError: it is not there, or is no prior.
        """
        module, _, _ = self.config.simulator.rpartition(":")
        return prior(named_object(module, self.config.prior), name=self.config.prior)

    @cached_property
    def observation(self) -> Float[np.ndarray, "..."] | None:
        """What was observed, if anything was.

        Raises:
            UserError: the file cannot be read, or holds no numbers.
        """
        return None if self.config.observation is None else read_observation(Path(self.config.observation))

    def pairs(self) -> Simulations | None:
        """Simulations that exist already, if they are given.

        Raises:
            UserError: the file cannot be read, or lacks a parameter.
        """
        return None if self.config.pairs is None else read_pairs(Path(self.config.pairs), self.prior)

    def prepare(self) -> None:
        self.simulator.check(self.prior)
        _ = self.observation
        if self.config.pairs is not None and not Path(self.config.pairs).is_file():
            raise UserError(f"{self.config.pairs} is not there")

    @property
    def checkpoints(self) -> Checkpoints:
        return self._checkpoints()

    @cached_property
    def model(self) -> Any:
        """From flattened data to a density in the prior's coordinates; of a likelihood the other way round."""
        if not self.finished:
            raise UserError(f"{self.folder} is not finished; pushforward infer --resume {self.folder} goes on with it")
        return load_flow(self.folder / FLOW)

    @property
    def flow(self) -> Any:
        """The same as `model`."""
        return self.model

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the data."""
        return tuple(self.result["shape"])

    @property
    def sampler(self) -> Sampler:
        """Of the posterior of the observation, in the parameters' own units."""
        if self.observation is None:
            raise UserError(f"{self.folder} has no observation: give one by --given FILE")
        return self._among_the_draws() if self.config.method == "nle" else self.sampler_given(self.observation)

    def _among_the_draws(self) -> Sampler:
        """Of the draws of the chains."""
        named = columns(self.draws)
        rows = jnp.asarray(np.stack(list(named.values()), axis=-1), float)

        def drawn(key: PRNGKeyArray, _: int, size: int) -> tuple[Array]:
            return (rows[jax.random.randint(key, (size,), 0, len(rows))],)

        return Sampler((len(named),), {"samples": tuple(named)}, drawn)

    def sampler_given(self, x: Float[np.ndarray, "..."]) -> Sampler:
        """Of the posterior of an observation, in the parameters' own units.

        Args:
            x: of the shape that the simulator returns.

        Raises:
            UserError: it has another shape, or the run is one of rounds or chains for another observation.
        """
        if x.shape != self.shape:
            raise UserError(f"the observation has the shape {x.shape}, simulated ones {self.shape}")
        if self.config.method == "nle":
            raise UserError(f"{self.folder} has draws given its own observation alone: infer anew for another")
        if self.config.rounds > 1 and (self.observation is None or not np.array_equal(x, self.observation)):
            raise UserError(f"the rounds of {self.folder} were near its own observation: train anew for another")
        model, target = self.model, self.prior
        context = jnp.asarray(x.ravel(), float)
        names = [each.name for each in target.parameters]

        @partial(jax.jit, static_argnums=1)
        def draw(key: PRNGKeyArray, size: int) -> dict[str, Array]:
            values = target.constrain(model(context).sample(key, (size,)))
            return {name: values[name] for name in names}

        numbers = tuple(columns({name: np.asarray(each) for name, each in draw(jax.random.key(0), 1).items()}))

        def drawn(key: PRNGKeyArray, _: int, size: int) -> tuple[Array]:
            values = draw(key, size)
            return (jnp.concatenate([values[name].reshape(size, -1) for name in names], axis=1),)

        return Sampler((len(numbers),), {"samples": numbers}, drawn)

    def keep_calibration(self, found: Calibration) -> None:
        """Write the ranks of test pairs."""
        _write(self.folder / CALIBRATION, {"names": np.array(found.names), "ranks": found.ranks})

    @property
    def calibration(self) -> Calibration | None:
        """How the ranks of test pairs are distributed, where there are enough."""
        path = self.folder / CALIBRATION
        if not path.is_file():
            return None
        with np.load(path) as saved:
            return Calibration(tuple(map(str, saved["names"])), saved["ranks"])

    def keep_predictive(self, found: Predictive) -> None:
        """Write the predictions of the observation."""
        _write(self.folder / PREDICTIVE, {**vars(found), "names": np.array(found.names)})

    @property
    def predictive(self) -> Predictive | None:
        """The observation among its predictions, where there is one."""
        path = self.folder / PREDICTIVE
        if not path.is_file():
            return None
        with np.load(path) as saved:
            values = {name: saved[name] for name in saved.files}
        return Predictive(**values | {"names": tuple(map(str, values["names"])), "draws": int(values["draws"])})

    def keep_draws(self, draws: dict[str, np.ndarray]) -> None:
        """Write draws of the parameters by name."""
        _write(self.folder / DRAWS, draws)

    @property
    def draws(self) -> dict[str, np.ndarray]:
        """Draws of the parameters by name, given the observation."""
        with np.load(self.folder / DRAWS) as saved:
            return dict(saved)


def read_observation(path: Path) -> Float[np.ndarray, "..."]:
    """The array in a .json or .npy file.

    Raises:
        UserError: the file is not there, cannot be read, or holds something else than finite numbers.
    """
    if not path.is_file():
        raise UserError(f"{path} is not there")
    try:
        match path.suffix:
            case ".json":
                found = json.loads(path.read_text())
                array = np.asarray(found, np.float64)
            case ".npy":
                array = np.asarray(np.load(path, allow_pickle=False), np.float64)
            case _:
                raise UserError(f"an observation is a .json or .npy file, got {path}")
    except UserError:
        raise
    except (ValueError, TypeError, OSError) as error:
        raise UserError(f"{path} holds no array of numbers: {first_line(error)}") from error
    if not np.isfinite(array).all():
        raise UserError(f"{path} holds numbers that are not finite")
    return array


def read_pairs(path: Path, given: Target) -> Simulations:
    """The simulations in a .npz file: parameters by name, and the data as x; rows that are not finite are counted.

    Raises:
        UserError: the file cannot be read, lacks an array, or a parameter lies outside of its support.
    """
    try:
        with np.load(path, allow_pickle=False) as saved:
            arrays = {name: np.asarray(saved[name], np.float64) for name in saved.files}
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read as a .npz file of numbers: {first_line(error)}") from error
    names = [each.name for each in given.parameters]
    missing = [name for name in (*names, "x") if name not in arrays]
    if missing:
        raise UserError(f"{path} lacks {missing[0]}; it needs {', '.join(names)}, and the data as x")
    rows = {name: len(arrays[name]) for name in (*names, "x")}
    if len(set(rows.values())) > 1:
        raise UserError(f"{path}: {', '.join(f'{count:,} rows of {name}' for name, count in rows.items())}")
    finite = np.all([np.isfinite(arrays[name]).reshape(rows["x"], -1).all(axis=1) for name in (*names, "x")], axis=0)
    kept = {name: arrays[name][finite] for name in (*names, "x")}
    try:
        model = given.model
        assert model is not None
        z = np.asarray(jax.jit(jax.vmap(model.unconstrain))({name: jnp.asarray(kept[name], float) for name in names}))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}: {first_line(error)}") from error
    if not np.isfinite(z).all():
        row = int(np.argmin(np.isfinite(z).all(axis=1))) + 1
        raise UserError(f"{path}, row {row:,}: a parameter lies outside of the prior's support")
    lost = int(np.sum(~finite))
    return Simulations(z, kept["x"], {"a number is not finite": lost} if lost else {})


def _write(path: Path, arrays: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)
