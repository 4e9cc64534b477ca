"""A posterior that a flow was fitted to: its draws, its weights, what they say, and how far they can be trusted."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from rich.console import Console

from pushforward.devices import double_precision, one_blas_thread
from pushforward.distributions import Pushforward
from pushforward.evaluation import Coverage, contradiction, coverage, smoothed_weights, verdict
from pushforward.inference.chains import Chains, resampled, run_chains
from pushforward.inference.kernels import Method
from pushforward.inference.ladder import GOOD_ESS, Rung, best, climb
from pushforward.inference.starts import wide_start, widened
from pushforward.inference.summary import Summary, summarise, unrolled
from pushforward.progress import lines_console
from pushforward.targets import Target
from pushforward.targets.callbacks import naming_failures
from pushforward.types import PRNGKeyArray

if TYPE_CHECKING:
    from xarray import DataTree


@dataclass(frozen=True)
class Effort:
    """How much annealed importance sampling a check takes.

    Attributes:
        chains: independent ones.
        temperatures: of each.
        leapfrog_steps: at each.
    """

    chains: int
    temperatures: int
    leapfrog_steps: int


DRAWS = 20_000
EFFORTS = Effort(2048, 128, 6), Effort(4096, 32, 3)
"""Of the wide start, and of the widened flow, in whose coordinates the posterior is nearly Normal."""
FEWEST, LEAST_SHARE = 16, 0.1
CHECKING = 0.25
"""Of the seconds of a fit, what its check may take."""

Draws = dict[str, Float[np.ndarray, "n ..."]]
Resample = Literal["psis", "none"]


@dataclass(frozen=True)
class Posterior:
    """A posterior and its approximation by a flow.

    Attributes:
        target: the posterior.
        rungs: what was tried.
        coordinates: draws of the best flow, `(n, D)`, in the coordinates of the target.
        log_p: unnormalised log posterior at each draw, in nats.
        log_q: log density of the flow at each draw.
        chains: those that `refine` ran, if any.
        coverage: what draws from a wide start say, where they were made.
    """

    target: Target
    rungs: Sequence[Rung]
    coordinates: Float[np.ndarray, "n D"]
    log_p: Float[np.ndarray, " n"]
    log_q: Float[np.ndarray, " n"]
    chains: Chains | None = None
    coverage: Coverage | None = None

    @property
    def best(self) -> Rung:
        """The rung that the draws are of."""
        return best(list(self.rungs))

    @property
    def flow(self) -> Pushforward:
        """The approximation, in the coordinates of the target."""
        return self.best.flow

    @cached_property
    def weights(self) -> Float[np.ndarray, " n"]:
        """Pareto-smoothed importance weights of the draws; they sum to 1, and are 0 where there is no density."""
        return smoothed_weights(np.nan_to_num(self.log_p - self.log_q, nan=-np.inf))

    @cached_property
    def draws(self) -> Draws:
        """The draws of the flow as parameters of the model, by name."""
        return self.constrained(self.coordinates)

    def constrained(self, coordinates: Float[np.ndarray, "*batch D"]) -> Draws:
        """Parameters by name of coordinates, `(*batch, D)` -> `(*batch, *shape)` each."""
        with double_precision():
            values = jax.jit(self.target.constrain)(jnp.asarray(coordinates))
        return {name: np.asarray(value) for name, value in values.items()}

    def summary(self) -> Summary:
        """Mean, standard deviation, 5% and 95% quantile of every number, each with its Monte Carlo error.

        They are those of the chains where `refine` has run any, and else of the weighted draws of the flow; of an
        angle, those of its values within half a turn of the circular mean.
        """
        if self.chains is None:
            return summarise(self.on_a_line(self.draws, self.weights), self.weights)
        return self.chains.summary(self.on_a_line(self.constrained(self.chains.coordinates)))

    def on_a_line(self, draws: Draws, weights: Float[np.ndarray, " n"] | None = None) -> Draws:
        """The same draws with angles within half a turn of their circular mean, in [-2 pi, 2 pi).

        Args:
            draws: `(n, *shape)` or `(chains, n, *shape)` by name.
            weights: of the draws; equal unless given.
        """
        shapes = {each.name: each.shape for each in self.target.parameters if each.periodic}
        return {
            name: unrolled(values, weights, values.ndim - len(shapes[name])) if name in shapes else values
            for name, values in draws.items()
        }

    @property
    def trusted(self) -> bool:
        """Whether the weighted draws can be trusted: k-hat is at most 0.7, or nearly all draws count, and no check of
        the coverage says that a part of the posterior is missing."""
        return self.best.usable and not (self.coverage is not None and self.coverage.contradicts)

    @property
    def verdict(self) -> str:
        """What k-hat, ESS and coverage, or the chains say, the number that is determined worst, and what to do."""
        if self.chains is not None:
            return self.chains.verdict
        worst, found = self.summary().worst, self.best.estimate
        k_hat = "no k-hat" if found.k_hat is None else f"k-hat {found.k_hat:.2f}"
        words = f"{k_hat}, ESS {found.ess_fraction:.1%}: {verdict(found.k_hat, found.ess_fraction)}"
        if found.ess_fraction > GOOD_ESS:
            words = f"{k_hat}, ESS {found.ess_fraction:.1%}: good: the weights are nearly constant"
        words += f"; {worst.name} is determined worst, its mean to {worst.uncertainty:.3f} sd"
        if self.best.outside:
            words += f"; {self.best.outside:.1%} of the draws have weight 0: the posterior has no density there"
        words += f"; {'its coverage was not checked' if self.coverage is None else self.coverage.verdict}"
        return words if self.trusted else f"{words}; do not use these numbers: refine, or give more seconds"

    def sample(self, key: PRNGKeyArray, n: int, *, resample: Resample = "psis") -> Draws:
        """Parameters by name, `(n, *shape)` each.

        Args:
            key: for the draws.
            n: how many.
            resample: by the smoothed weights of a pool of at least 20,000 draws of the flow, or not at all. Where
                `refine` has run, draws are those of its chains.

        Raises:
            ValueError: `n` is not positive, or `resample` is unknown.
        """
        if n < 1:
            raise ValueError(f"n must be 1 or more, got {n}")
        if resample not in ("psis", "none"):
            raise ValueError(f"resample is psis or none, got {resample!r}")
        key_draws, key_pick = jax.random.split(key)
        if resample == "none":
            return self.constrained(draw(self.target, self.flow, key_draws, n)[0])
        if self.chains is not None:
            pool = self.chains.coordinates.reshape(-1, self.target.dim)
            return self.constrained(pool[np.asarray(jax.random.randint(key_pick, (n,), 0, len(pool)))])
        coordinates, log_p, log_q = draw(self.target, self.flow, key_draws, max(DRAWS, 4 * n))
        weights = smoothed_weights(np.nan_to_num(log_p - log_q, nan=-np.inf))
        return self.constrained(coordinates[resampled(key_pick, weights, n)])

    def refine(
        self,
        key: PRNGKeyArray,
        *,
        method: Method = "nuts",
        ess: float = 1000,
        seconds: float = 120,
        quiet: bool = False,
    ) -> "Posterior":
        """The same with chains that move behind the flow, until they agree; called again it goes on.

        They see the density of the base's coordinates, which is nearly that of the base where the flow is good. A mode
        that no draw of the flow has found is found by no chain.

        Args:
            key: for starts and transitions.
            method: `"nuts"`, trajectories of NUTS and proposals from the flow in turn; `"imh"`, such proposals only;
                `"smc"`, populations tempered from the flow to the posterior, which find log Z too. Chains of another
                method than those before start anew.
            ess: bulk and tail ESS that every number must reach, with a rank-normalised split R-hat of 1.01 at most.
            seconds: after which it stops; the verdict then says which number is not there yet.
            quiet: whether nothing is shown; else how far the chains are after each round.
        """
        console = lines_console(quiet)
        with double_precision(), one_blas_thread(), naming_failures():
            chains = run_chains(
                self.target,
                self.flow,
                key,
                method=method,
                ess=ess,
                seconds=seconds,
                before=self.chains,
                constrain=lambda coordinates: self.on_a_line(self.constrained(coordinates)),
                on_round=lambda chains: told(console, chains.verdict),
            )
        return replace(self, chains=chains)

    def checked(self, key: PRNGKeyArray, *, seconds: float = 30) -> "Posterior":
        """The same with a check of its coverage, by annealed importance sampling from two starts.

        One is a Normal law three times as wide as the draws, the other the flow from a base twice as wide: modes are
        found by the one, thin parts by the other. What says most against the flow is kept. Of a flow that is a Normal
        law itself the second would be a narrower first, and is left out.

        Args:
            key: for everything random.
            seconds: about what it may take beside compiling, by which temperatures and chains are chosen. Where that is
                too little for a tenth of the chains, there is no check, which the verdict says.
        """
        with double_precision(), one_blas_thread(), naming_failures():
            wide, flow = wide_start(self.target, self.coordinates), self.flow
            is_normal = len({jax.tree.structure(each.bijection) for each in (wide, flow)}) == 1
            starts = [wide] if is_normal else [wide, widened(flow)]
            affordable = seconds / len(starts) / _seconds_of_a_transition(self.target, self.coordinates)
            share = min(1.0, affordable / FEWEST)
            if share < LEAST_SHARE:
                return self
            found = [
                coverage(
                    flow,
                    self.target,
                    start,
                    jax.random.fold_in(key, index),
                    chains=int(share * effort.chains),
                    temperatures=min(effort.temperatures, max(FEWEST, int(affordable))),
                    leapfrog_steps=effort.leapfrog_steps,
                )
                for index, (start, effort) in enumerate(zip(starts, EFFORTS))
            ]
        return replace(self, coverage=contradiction(found))

    def to_arviz(self) -> "DataTree":
        """The posterior as ArviZ takes it: draws, `sample_stats`, observed data, predictions, log-likelihoods.

        Of chains each draw is one; of a flow there is one chain of draws resampled by their weights, for which ArviZ
        has no R-hat.
        """
        from pushforward.inference.arviz import to_arviz

        return to_arviz(self)

    def save(self, path: str | Path) -> Path:
        """Write what `to_arviz` gives to a NetCDF file.

        Args:
            path: a file that ends in `.nc`.

        Raises:
            ValueError: it does not.
        """
        path = Path(path)
        if path.suffix != ".nc":
            raise ValueError(f"a posterior is saved to a file that ends in .nc, got {path}")
        self.to_arviz().to_netcdf(path, engine="h5netcdf")
        return path

    def __repr__(self) -> str:
        found = self.best.estimate
        return (
            f"{self.target.describe()}\n{self.summary()}\n"
            f"log Z {found.log_z:.4f} ± {found.log_z_std_error:.4f} nats by {self.best.name}\n{self.verdict}"
        )


def fit(
    target: Target,
    key: PRNGKeyArray,
    *,
    seconds: float = 60,
    draws: int = DRAWS,
    quiet: bool = False,
) -> Posterior:
    """Fit the posterior of a model: a ladder of approximations, judged by importance weights, the best of them kept.

    On a CPU it computes in double precision. What the target is, each rung, and the time that training has left are
    shown.

    Args:
        target: the posterior, from `pushforward.targets`.
        key: for everything random.
        seconds: for the ladder, compilation included.
        draws: of the best rung, at least.
        quiet: whether nothing is shown.

    Raises:
        UserError: no start is finite, or every approximation diverged.
        ValueError: `seconds` or `draws` is not positive.

    Example:
        >>> posterior = pushforward.inference.fit(targets.from_numpyro(model, y=y), jax.random.key(0))
        >>> posterior
        >>> posterior.refine(jax.random.key(1)).save("posterior.nc")
    """
    if not seconds > 0 or draws < 1:
        raise ValueError(f"seconds and draws must be positive, got {seconds} and {draws}")
    key_climb, key_draws = jax.random.split(key)
    console = lines_console(quiet)
    told(console, target.describe())
    with double_precision(), one_blas_thread(), naming_failures(), console.status("looking for a start") as status:
        rungs = climb(
            target,
            key_climb,
            seconds,
            on_rung=lambda rung: told(console, str(rung)),
            on_progress=lambda name, spent, limit: status.update(f"{name}: {spent:.0f} of {limit:.0f} s"),
        )
    fitted = Posterior(target, rungs, *draw(target, best(rungs).flow, key_draws, draws))
    with console.status("looking for what the flow misses"):
        fitted = fitted.checked(jax.random.fold_in(key_draws, 1), seconds=seconds * CHECKING)
    told(console, fitted.verdict)
    return fitted


def _seconds_of_a_transition(target: Target, coordinates: Float[np.ndarray, "n D"]) -> float:
    """What a transition of the chains of a check takes of the density, by a trial."""
    gradient = jax.jit(jax.vmap(jax.grad(target.log_density)))
    points = jnp.asarray(coordinates[: EFFORTS[0].chains])
    jax.block_until_ready(gradient(points))
    began = time.perf_counter()
    jax.block_until_ready(gradient(points))
    return EFFORTS[0].leapfrog_steps * (time.perf_counter() - began)


def told(console: Console, line: str) -> None:
    """Print a line as it is."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def draw(
    target: Target, flow: Pushforward, key: PRNGKeyArray, n: int
) -> tuple[Float[np.ndarray, "n D"], Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """Coordinates of draws of a flow, the log posterior at them, and the log density of the flow.

    Args:
        target: the posterior.
        flow: in its coordinates.
        key: for the draws.
        n: how many.
    """

    @eqx.filter_jit
    def batch(flow: Pushforward, key: PRNGKeyArray) -> tuple[jax.Array, jax.Array, jax.Array]:
        z, log_q = flow.sample_and_log_prob(key, (n,))
        return z, target.log_densities(z), log_q

    with double_precision(), one_blas_thread(), naming_failures():
        z, log_p, log_q = jax.device_get(batch(flow, key))
    return np.asarray(z), np.asarray(log_p, np.float64), np.asarray(log_q, np.float64)
