"""Densities of states of what a user names: a run, a file, a distribution, a target."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from pushforward import states
from pushforward.distributions import (
    Distribution,
    GeneralizedNormal,
    Gumbel,
    Laplace,
    Logistic,
    Normal,
    SmoothStep,
    StudentT,
    Uniform,
    VonMises,
)
from pushforward.errors import UserError, nearest
from pushforward.experiments.runs import open_run
from pushforward.states import DensityOfStates
from pushforward.states.bound import checked_dim
from pushforward.targets import TARGETS
from pushforward.types import PRNGKeyArray

DISTRIBUTIONS: dict[str, Callable[[int], Distribution]] = {
    "normal": Normal.standard,
    "laplace": Laplace.standard,
    "logistic": Logistic.standard,
    "gumbel": Gumbel.standard,
    "student-t": StudentT.standard,
    "generalized-normal": lambda dim: GeneralizedNormal.standard(dim, beta=8.0),
    "uniform": lambda dim: Uniform(jnp.zeros(dim), jnp.ones(dim)),
    "von-mises": lambda dim: VonMises(jnp.zeros(dim), jnp.full(dim, jnp.log(0.5))),
    "smooth-step": SmoothStep.standard,
}

LARGEST_SAMPLE = 10_000_000


@dataclass(frozen=True)
class Named:
    """A density of states and what it is of.

    Attributes:
        label: for titles.
        states: the density of states.
        dim: dimensions D, where they are known.
    """

    label: str
    states: DensityOfStates
    dim: int | None


def named_states(name: str, dim: int | None, samples: int, seed: int) -> Named:
    """The density of states of a run, of log-densities in an .npy file, or of a distribution or target by its name.

    Raises:
        UserError: it is none of these, or a log-density is NaN or +inf.
    """
    if not 1 <= samples <= LARGEST_SAMPLE:
        raise UserError(f"--samples must be 1 to {LARGEST_SAMPLE:,}, got {samples}")
    dim = None if dim is None else checked_dim(dim)
    path, key = Path(name), jax.random.key(seed)
    if path.is_dir():
        flow = open_run(path).flow
        return Named(path.name, states.density_of_states(flow, key, samples), int(np.prod(flow.shape)))
    if path.suffix.lower() == ".npy":
        return Named(path.name, states.from_log_densities(_log_densities(path)), dim)
    if name in DISTRIBUTIONS:
        dim = 1 if dim is None else dim
        law = DISTRIBUTIONS[name](dim)
        return Named(f"{name}, D = {dim}", states.density_of_states(law, key, samples), dim)
    if name in TARGETS:
        return _target(name, 2 if dim is None else dim, key, samples)
    known = [*DISTRIBUTIONS, *TARGETS]
    raise UserError(f"{name} is no run, no .npy file, and no distribution{nearest(name, known)}: {', '.join(known)}")


def _log_densities(path: Path) -> np.ndarray:
    try:
        values = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path} is not an .npy file: {str(error)[:80]}") from error
    if values.ndim != 1 or values.dtype.kind != "f":
        found = f"{values.dtype} of shape {values.shape}"
        raise UserError(f"{path} must hold log-densities, floats of shape (n,), got {found}; data go to states advise")
    return np.asarray(values)


def _target(name: str, dim: int, key: PRNGKeyArray, samples: int) -> Named:
    target = TARGETS[name](dim)
    if target.sample is None or target.log_z is None:
        raise UserError(f"{name} has no exact samples; fit a flow to it and give the run")
    values = np.asarray(jax.jit(target.log_densities)(target.sample(key, samples)), np.float64) - target.log_z
    return Named(f"{name}, D = {dim}", states.from_log_densities(values), dim)
