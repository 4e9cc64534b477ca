"""Advice on a user's data: whether a volume-preserving flow will do."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
import numpy as np

from pushforward import data, states
from pushforward.errors import UserError
from pushforward.evaluation.gaussian import gaussian_log_likelihoods
from pushforward.experiments.runs import start_run
from pushforward.experiments.train.config import TrainConfig
from pushforward.experiments.train.run import TrainRun
from pushforward.states import Bound, DensityOfStates

Verdict = Literal["volume-preserving", "varying volume", "cannot tell"]

OWN_DRAWS = 2**15
REPLICATES = 40  # of the bound from a Student-t base, each of which takes a minimisation
DEGREES = (1.0, 2.0, 3.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True)
class Advice:
    """Whether a volume-preserving flow will do for some data, by the density of states of a flow fitted to them.

    All bounds are in nats. There are two of each: one of the flow's own density of states, and one of the law of its
    log-density at held-out rows. They agree as far as the flow is right, so that the interval is that of both.

    Attributes:
        run: the fitted flow.
        tolerance: what may be lost.
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
    tolerance: float
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
        data=file, flow="nsf_coupling", length=6, batch_size=256, steps=steps, patience=1_000, seed=seed
    )
    config.check()
    run: TrainRun = start_run(_suited(config), out, force)
    run.train()
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
        tolerance,
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
