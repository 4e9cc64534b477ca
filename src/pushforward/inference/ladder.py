"""The ladder: approximations of growing capacity, until the importance weights say that one is good enough."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from pushforward import flows
from pushforward.bijections import Bijection, Chain, MixedSpline
from pushforward.distributions import Pushforward
from pushforward.errors import UserError
from pushforward.evaluation import ImportanceEstimate, importance_estimate, log_weights
from pushforward.evaluation.psis import K_HAT_LIMIT, LOW_ESS
from pushforward.inference.starts import best_start, started
from pushforward.objectives import free_energy
from pushforward.programs import forget_programs
from pushforward.targets import Target
from pushforward.training import Diverged, ensemble, fit, member, timed_adam
from pushforward.types import PRNGKeyArray

JUDGED_BY = 2**15
BATCH_SIZE, AVERAGE_DECAY, GRADIENT_CLIP = 128, 0.998, 100.0
WARM_SHARE, COLDEST = 0.3, 0.02
MOST_STEPS = 200_000
MOST_MIXED = 64
"""Dimensions up to which a trained linear map follows each layer: its cost grows with their cube."""
GOOD_K_HAT, GOOD_ESS, FAIR_ESS = 0.5, 0.99, 0.1
RISE, AHEAD = 0.01, 0.5
CAPACITIES = ((0, 0, 0.1), (6, 32, 0.35), (8, 64, 1.0))
"""Layers, hidden units, and the share of the time that is left, of the Normal of full rank and of each flow."""


@dataclass(frozen=True)
class Training:
    """How flows of a kind are trained.

    Attributes:
        learning_rate: of Adam, in up to 50 dimensions, and inversely proportional to them beyond.
        stick_the_landing: whether the score term is left out of the gradient.
        least_seconds: about what compiling takes; with less a rung is left out.
    """

    learning_rate: float
    stick_the_landing: bool
    least_seconds: float


OF_AFFINE = Training(4e-3, True, 4.0)
OF_SPLINES = Training(1e-3, False, 12.0)
"""The scores of splines jump at their knots: without the score term their training does not stay where it is."""


@dataclass(frozen=True)
class Rung:
    """One approximation of a posterior, judged.

    Attributes:
        name: what it is.
        flow: the approximation, in the coordinates of the target.
        elbo: `E_q[log p(z, data) - log q(z)]` over the draws at which the posterior has a density, in nats.
        elbo_std_error: its standard error.
        estimate: what importance sampling from it finds.
        outside: share of its draws at which the posterior has no density, or is not a number.
        seconds: since the start of the ladder.
        evaluations: of the density with its gradient, in the training of this rung.
    """

    name: str
    flow: Pushforward
    elbo: float
    elbo_std_error: float
    estimate: ImportanceEstimate
    outside: float
    seconds: float
    evaluations: int = 0

    @property
    def trusted(self) -> bool:
        """Whether its weights are those of a good approximation: k-hat is below 0.5 and a tenth of the draws count, or
        nearly all do."""
        ess = self.estimate.ess_fraction
        return ess > GOOD_ESS or (ess > FAIR_ESS and self._below(GOOD_K_HAT))

    @property
    def usable(self) -> bool:
        """Whether estimates by its weights converge: k-hat is at most 0.7, or nearly all draws count."""
        return self.trusted or self._below(K_HAT_LIMIT)

    def _below(self, limit: float) -> bool:
        """Whether k-hat is, and more than next to none of the draws count."""
        k_hat = self.estimate.k_hat
        return k_hat is not None and k_hat <= limit and self.estimate.ess_fraction > LOW_ESS

    def __str__(self) -> str:
        found = self.estimate
        k_hat = "no k-hat" if found.k_hat is None else f"k-hat {found.k_hat:.2f}"
        return (
            f"{self.name}: ELBO {self.elbo:.4f} ± {self.elbo_std_error:.4f}, log Z {found.log_z:.4f} ± "
            f"{found.log_z_std_error:.4f}, ESS {found.ess_fraction:.1%}, {k_hat}, {self.seconds:.0f} s"
        )


OnRung = Callable[[Rung], None]
OnProgress = Callable[[str, float, float], None]


def climb(
    target: Target,
    key: PRNGKeyArray,
    seconds: float,
    *,
    on_rung: OnRung | None = None,
    on_progress: OnProgress | None = None,
) -> list[Rung]:
    """The rungs, from a Normal to flows, until one is trusted and its ELBO cannot rise or has not, or the time is over.

    Args:
        target: the posterior.
        key: for everything random.
        seconds: for the whole ladder, compilation included; a rung that has begun is judged.
        on_rung: called with each rung.
        on_progress: called with the name of the rung in training, its seconds so far, and the seconds it may take.

    Raises:
        UserError: no start is finite, or every rung diverged.
    """
    began = time.perf_counter()
    key_start, key_train, key_judge = jax.random.split(key, 3)
    rungs: list[Rung] = []
    spent_on_judging: list[float] = []

    def left() -> float:
        """Seconds, less twice those that judging a rung has taken: of larger flows it takes longer."""
        return seconds - (time.perf_counter() - began) - 2 * max(spent_on_judging)

    def add(name: str, flow: Pushforward, steps: int = 0) -> None:
        trained = time.perf_counter()
        rung = judged(name, target, flow, key_judge, trained - began)
        rungs.append(replace(rung, evaluations=steps * BATCH_SIZE))
        spent_on_judging.append(time.perf_counter() - trained)
        if on_rung is not None:
            on_rung(rungs[-1])

    start = best_start(target, key_start)
    add(start.name, started(target, start.standard))
    how = OF_SPLINES if target.dim == 1 or target.angles else OF_AFFINE
    for index, (layers, width, share) in enumerate(CAPACITIES):
        if _high_enough(rungs):
            break
        if (lent := share * left()) < how.least_seconds:
            continue
        name, make = _approximation(target, start.standard, layers, width)
        try:
            flow, steps = _trained(target, make, how, jax.random.fold_in(key_train, index), lent, name, on_progress)
        except Diverged:
            continue
        add(name, flow, steps)
    return rungs


def judged(name: str, target: Target, flow: Pushforward, key: PRNGKeyArray, seconds: float) -> Rung:
    """An approximation with what its importance weights say.

    Args:
        name: what it is.
        target: the posterior.
        flow: the approximation.
        key: for the draws.
        seconds: since the start of the ladder.

    Raises:
        UserError: the posterior has no density at any draw, or an infinite one.
    """
    forget_programs()
    weigh = eqx.filter_jit(lambda flow, key: log_weights(flow, target.log_densities, key, JUDGED_BY))
    weights = np.array(weigh(flow, key), np.float64)
    outside = ~(weights > -np.inf)
    if outside.all():
        raise UserError(f"{target.name} has no density at any of {len(weights)} draws of {name}")
    weights[outside] = -np.inf
    inside = weights[~outside]
    try:
        estimate = importance_estimate(weights)
    except ValueError as error:
        raise UserError(f"{target.name} cannot be judged by {name}: {error}") from error
    return Rung(
        name=name,
        flow=flow,
        elbo=float(inside.mean()),
        elbo_std_error=float(inside.std(ddof=1) / np.sqrt(len(inside))),
        estimate=estimate,
        outside=float(outside.mean()),
        seconds=seconds,
    )


def best(rungs: list[Rung]) -> Rung:
    """The rung of the highest ELBO among those of usable weights, of which a tenth of the draws count.

    Where another is ahead of them by half a nat it is that one: its draws are better, whatever k-hat says.
    """
    highest = max(rungs, key=lambda rung: rung.elbo)
    near = [
        rung
        for rung in rungs
        if rung.usable and rung.estimate.ess_fraction > FAIR_ESS and highest.elbo - rung.elbo < AHEAD
    ]
    return max(near, key=lambda rung: rung.elbo, default=highest)


def _high_enough(rungs: list[Rung]) -> bool:
    last = rungs[-1]
    risen = last.elbo - max((rung.elbo for rung in rungs[:-1]), default=-np.inf)
    return last.trusted and (last.estimate.log_z - last.elbo < RISE or risen < RISE)


def _approximation(
    target: Target, standard: Bijection, layers: int, width: int
) -> tuple[str, Callable[[PRNGKeyArray], Pushforward]]:
    """Name and maker of an approximation; without layers it is the Normal of full rank.

    Flows are affine couplings; splines where there is one coordinate only, or angles are among them.
    """
    dim, angles = target.dim, target.angles

    def make(key: PRNGKeyArray) -> Pushforward:
        if layers == 0 and angles:
            return started(target, standard, MixedSpline.identity(jnp.isin(jnp.arange(dim), jnp.array(angles))))
        if layers == 0:
            return started(target, standard)
        if dim == 1:
            circular = angles or False
            made = flows.nsf_autoregressive(key, 1, layers, width=width, fast="sampling", circular=circular)
        elif angles:
            made = flows.nsf_coupling(key, dim, layers, width=width, activation=jax.nn.silu, circular=angles)
        else:
            mixing: flows.Mixing = "lu" if dim <= MOST_MIXED else "permutation"
            made = flows.real_nvp(key, dim, layers, width=width, mixing=mixing, activation=jax.nn.silu)
        return Pushforward(made.base, Chain((made.bijection, standard)))

    if layers == 0:
        return ("a spline for each coordinate" if angles else "Normal of full rank"), make
    return f"{layers} coupling layers of width {width}", make


def cooling(share: float) -> float:
    """What the learning rate is multiplied with once this share of the time has passed: 1 at first, then a cosine."""
    along = max(0.0, share - WARM_SHARE) / (1 - WARM_SHARE)
    return COLDEST + (1 - COLDEST) * (1 + math.cos(math.pi * along)) / 2


def _trained(
    target: Target,
    make: Callable[[PRNGKeyArray], Pushforward],
    how: Training,
    key: PRNGKeyArray,
    seconds: float,
    name: str,
    on_progress: OnProgress | None,
) -> tuple[Pushforward, int]:
    """The flow, and the steps of its training."""
    key_make, key_fit = jax.random.split(key)
    began = time.perf_counter()
    rate = how.learning_rate * min(1.0, 50 / target.dim)

    def loss(flow: Pushforward, key: PRNGKeyArray, step: Int[Array, ""]) -> Float[Array, ""]:
        return free_energy(flow, target.log_densities, key, BATCH_SIZE, stick_the_landing=how.stick_the_landing)

    def progress(step: int, mean_loss: Float[np.ndarray, " members"]) -> None:
        if on_progress is not None:
            on_progress(name, time.perf_counter() - began, seconds)

    trained = fit(
        ensemble(make, key_make, 1),
        loss,
        key=key_fit,
        steps=MOST_STEPS,
        optimizer=timed_adam(rate, gradient_clip=GRADIENT_CLIP),
        seconds=seconds,
        cooling=cooling,
        average_decay=AVERAGE_DECAY,
        on_progress=progress,
    )
    return member(trained.model, 0), trained.steps
