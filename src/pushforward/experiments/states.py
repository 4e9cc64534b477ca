"""Densities of states of what a user names, and advice on a user's data."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from pushforward import data, states
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
from pushforward.evaluation.gaussian import gaussian_log_likelihoods
from pushforward.experiments.config import TrainConfig
from pushforward.experiments.runs import DlgmRun, TrainRun, open_run, start_run
from pushforward.experiments.train import run_train
from pushforward.states import Bound, DensityOfStates
from pushforward.states.bound import checked_dim
from pushforward.targets import TARGETS

Verdict = Literal["volume-preserving", "varying volume", "cannot tell"]

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
OWN_DRAWS = 2**15
REPLICATES = 40  # of the bound from a Student-t base, each of which takes a minimisation


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
        run = open_run(path)
        if isinstance(run, DlgmRun):
            raise UserError(f"{name} is a deep latent Gaussian model: the log-density of its samples is not known")
        flow = run.flow
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


@dataclass(frozen=True)
class Advice:
    """Whether a volume-preserving flow will do for some data, by the density of states of a flow fitted to them.

    All bounds are in nats. There are two of each: one of the flow's own density of states, and one of the law of its
    log-density at held-out rows. They agree as far as the flow is right, so that the interval is that of both.

    Attributes:
        run: the fitted flow.
        rows: in all.
        dim: dimensions D.
        own: the density of states of the flow.
        held_out: the law of its log-density at the held-out rows.
        bounds: what any map of constant determinant loses at least, from a Normal base.
        matched: the same from a Student-t base, whose degrees of freedom are the best of a few.
        df: those.
        low: of the interval of the bound.
        high: of the interval of the bound.
        log_likelihood: mean over the held-out rows, of the flow.
        normal_log_likelihood: the same of the Normal with the mean and covariance of the training rows.
        verdict: what to use.
        reasons: why, in sentences.
    """

    run: TrainRun
    rows: int
    dim: int
    own: DensityOfStates
    held_out: DensityOfStates
    bounds: tuple[Bound, Bound]
    matched: tuple[Bound, Bound]
    df: float
    low: float
    high: float
    log_likelihood: float
    normal_log_likelihood: float
    verdict: Verdict
    reasons: tuple[str, ...]


DEGREES = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0)


def advise(file: str, tolerance: float, steps: int, seed: int, out: Path | None, force: bool) -> Advice:
    """Fit a quick flow of varying volume to a table, and say what a volume-preserving one must lose.

    Args:
        file: the table, `(n, D)`, as for `pushforward train`, or the name of a data set.
        tolerance: nats that may be lost.
        steps: of training.
        seed: of everything random.
        out: folder of the fitted flow.
        force: overwrite it.

    Raises:
        UserError: the data cannot be used, or the tolerance is not positive.
    """
    if not tolerance > 0:
        raise UserError(f"--tolerance must be positive, got {tolerance}")
    config = TrainConfig(
        data=file, flow="nsf_coupling", length=6, width=64, batch_size=256, steps=steps, patience=1_000, seed=seed
    )
    config.check()
    run = start_run(_suited(config), out, force)
    assert isinstance(run, TrainRun)
    run_train(run)
    rows = run.dataset
    flow, dim = run.flow, int(np.prod(rows.shape))
    own = states.from_draws(flow, jax.random.key(seed), OWN_DRAWS)
    held_out = states.from_data(flow, rows.test)
    laws = own, held_out
    bounds = tuple(states.volume_preserving_bound(law, dim) for law in laws)
    by_df = {df: states.volume_preserving_bound(own, dim, "student-t", df=df, replicates=1).nats for df in DEGREES}
    df = min(by_df, key=lambda df: by_df[df])
    matched = tuple(states.volume_preserving_bound(law, dim, "student-t", df=df, replicates=REPLICATES) for law in laws)
    gaussian = gaussian_log_likelihoods(rows.train, rows.test)
    normal = -np.inf if gaussian is None else float(gaussian.mean())
    low, high = min(bound.low for bound in bounds), max(bound.high for bound in bounds)
    return Advice(
        run,
        len(rows.train) + len(rows.validation) + len(rows.test),
        dim,
        own,
        held_out,
        (bounds[0], bounds[1]),
        (matched[0], matched[1]),
        df,
        low,
        high,
        held_out.mean,
        normal,
        *_verdict(low, high, held_out.mean - normal, tolerance),
    )


def _suited(config: TrainConfig) -> TrainConfig:
    """The settings as they suit the data: coupling layers need two dimensions; in one, splines are autoregressive.

    Raises:
        UserError: the data cannot be read, or are images.
    """
    dataset = data.load(config.data, seed=config.seed, validation=config.validation, test=config.test)
    if dataset.levels is not None:
        raise UserError(f"{dataset.name} holds images, whose densities depend on their dequantisation: give rows")
    return replace(config, flow="nsf_autoregressive") if dataset.shape == (1,) else config


def _verdict(low: float, high: float, gain: float, tolerance: float) -> tuple[Verdict, tuple[str, ...]]:
    """What the interval of the bound says; `gain` is the flow's log-likelihood less that of the Normal."""
    interval = f"between {low:.3f} and {high:.3f} nats"
    if high <= tolerance:
        return "volume-preserving", (
            f"The density of states lets a volume-preserving flow come within {interval} of the data: NICE with a "
            "diagonal may do. This is necessary, not sufficient: compare it with the flow fitted here.",
        )
    if gain < 0:
        return "cannot tell", (
            f"The flow is {-gain:.2f} nats a row worse on held-out rows than a Normal, which is volume preserving but "
            "for a linear map: there are too few rows, or steps, for its density of states to stand for the data's.",
        )
    if low > tolerance:
        return "varying volume", (
            f"Every volume-preserving flow loses {interval} to the data, more than the {tolerance:g} that may be lost: "
            "use coupling or autoregressive layers with scales, or splines.",
        )
    return "cannot tell", (
        f"What a volume-preserving flow must lose is {interval}, on both sides of the {tolerance:g} that may be lost.",
    )
