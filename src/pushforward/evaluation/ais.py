"""Annealed importance sampling: log Z of an unnormalised density, from below and, given an exact sample, from above.

The path leads from a `Pushforward` q to a density f through the geometric averages `q(z)^(1-beta) f(z)^beta`, and its
chains move in the coordinates `epsilon` of the base of q, with `z = T(epsilon)`. There the very same path is
`base(epsilon)^(1-beta) (f(T(epsilon)) |det dT/depsilon|)^beta`: it is preconditioned by the flow, which is inverted
only once, for the exact sample. Its log density is `log base(epsilon) + beta log_ratio(epsilon)`, where `log_ratio`,
`log f(T(epsilon)) + log |det dT/depsilon| - log base(epsilon)`, is the log importance weight `log f(z) - log q(z)`.

Neal, 2001, "Annealed importance sampling"; Salakhutdinov & Murray, 2008, "On the quantitative analysis of deep belief
networks"; backwards: Grosse, Ghahramani & Adams, 2015, "Sandwiching the marginal likelihood using bidirectional Monte
Carlo"; with Hamiltonian transitions: Wu, Burda, Salakhutdinov & Grosse, 2017, "On the quantitative analysis of
decoder-based generative models".

Everything is for one density, pure, and works under `jax.jit` and, over data points and keys, `jax.vmap`.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import lazy_loader
import numpy as np
from jax import lax
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float
from scipy.special import expit

from pushforward.bijections import Bijection
from pushforward.distributions import Distribution, Pushforward
from pushforward.types import PRNGKeyArray

blackjax = lazy_loader.load("blackjax")  # a second to import, which most commands never need

LogDensity = Callable[[Float[Array, "..."]], Float[Array, ""]]

SMALLEST_STEP = 1e-5
WARMUP = 20


class AISResult(eqx.Module):
    """What the chains of annealed importance sampling found, in nats; more leading axes come from `jax.vmap`.

    Attributes:
        points: where the chains end, `(chains, *event shape)`; those of forward chains are, by their weights, draws of
            the density.
        log_weights: one a chain, `(chains,)`: with w their exponentials, `E[w] = Z` over chains that ran forward and
            `E[1 / w] = 1 / Z` over chains that ran in reverse.
        acceptance: mean over the chains of the probability of acceptance at each intermediate distribution, in the
            order of `betas` in both directions.
        reverse: whether the chains ran from the target to the start of the path.
    """

    points: Float[Array, "..."]
    log_weights: Float[Array, "*batch chains"]
    acceptance: Float[Array, "*batch intermediate"]
    reverse: bool = eqx.field(static=True)

    @property
    def log_z(self) -> Float[Array, "*batch"]:
        """Log mean weight: its expectation is below log Z for forward chains, above log Z for reverse ones."""
        return self._sign * log_mean_exp(self._sign * self.log_weights)[0]

    @property
    def log_z_std_error(self) -> Float[Array, "*batch"]:
        """The standard error of `log_z`; see `log_mean_exp`."""
        return log_mean_exp(self._sign * self.log_weights)[1]

    @property
    def _sign(self) -> int:
        return -1 if self.reverse else 1


def log_mean_exp(values: Float[Array, "*batch n"]) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
    """`log mean exp(values)` over the last axis, and its standard error by the delta method.

    The standard error is `sqrt(relative variance of exp(values) / n)`: NaN for a single value, and too small where a
    few of the values make up most of the sum.
    """
    n = values.shape[-1]
    scaled = jnp.exp(values - jnp.max(values, axis=-1, keepdims=True))
    relative = jnp.std(scaled, axis=-1, ddof=1) / jnp.mean(scaled, axis=-1) if n > 1 else jnp.nan * scaled[..., 0]
    return logsumexp(values, axis=-1) - math.log(n), relative / math.sqrt(n)


def linear_schedule(temperatures: int) -> Float[Array, " betas"]:
    """`temperatures + 1` inverse temperatures, equally far apart from exactly 0 to exactly 1.

    The `temperatures - 1` of them in between are the intermediate distributions; with none of them annealed importance
    sampling is plain importance sampling.

    Raises:
        ValueError: `temperatures` is not positive.
    """
    return jnp.asarray(_equally_far(temperatures), float)


def sigmoidal_schedule(temperatures: int, delta: float = 4.0) -> Float[Array, " betas"]:
    """`temperatures + 1` inverse temperatures from exactly 0 to exactly 1, closest to each other near both ends.

    They are equally far apart on the logistic curve between `-delta` and `delta`, shifted and scaled to end at 0 and 1
    (Grosse, Ghahramani & Adams, 2015, section 5).

    Args:
        temperatures: steps of the path.
        delta: half the length of the curve that is used.

    Raises:
        ValueError: `temperatures` or `delta` is not positive.
    """
    if delta <= 0:
        raise ValueError(f"delta must be positive, got {delta}")
    curve = expit(delta * (2 * _equally_far(temperatures) - 1))
    return jnp.asarray((curve - curve[0]) / (curve[-1] - curve[0]), float)


def _equally_far(temperatures: int) -> Float[np.ndarray, " betas"]:
    if temperatures < 1:
        raise ValueError(f"a path needs at least 1 temperature, got {temperatures}")
    return np.linspace(0, 1, temperatures + 1)


def ais(
    log_density: LogDensity,
    start: Pushforward,
    betas: Float[Array, " betas"],
    step_sizes: Float[Array, " betas-2"],
    key: PRNGKeyArray,
    *,
    chains: int,
    leapfrog_steps: int,
) -> AISResult:
    """Forward chains, from exact samples of `start` towards the density: a stochastic lower bound of log Z.

    A transition costs `leapfrog_steps` evaluations of the density with its gradient, the start of a chain one more.
    A proposal whose energy is NaN is rejected; a chain that starts where the density is NaN has the weight NaN.

    Args:
        log_density: unnormalised log density of one point in nats; may be `-inf`.
        start: where the path begins; the nearer its base is to N(0, I), the better the identity mass matrix fits.
        betas: inverse temperatures, strictly increasing from 0 to 1. Where they go on to 2 the density is `f^2 / q`, of
            which the alpha = 2 divergence is made (Midgley et al., 2023, "Flow annealed importance sampling bootstrap",
            section 3): it is on the same path, beyond f.
        step_sizes: of the leapfrog integrator, in the coordinates of the base, at each beta but the first and last.
            For the weights to be unbiased they must not depend on these chains: see `tune_step_sizes`.
        key: for the samples and the transitions.
        chains: independent chains.
        leapfrog_steps: of one Hamiltonian trajectory.

    Example:
        >>> betas = sigmoidal_schedule(1000)
        >>> steps = tune_step_sizes(log_density, start, betas, key_tune, chains=16, leapfrog_steps=10)
        >>> ais(log_density, start, betas, steps, key, chains=16, leapfrog_steps=10).log_z
    """
    path = _Path(log_density, start)
    key_start, key_chains = jax.random.split(key)
    epsilon = start.base.sample(key_start, (chains,))
    points, log_weights, acceptance = _anneal(path, epsilon, betas, step_sizes, key_chains, leapfrog_steps)
    return AISResult(jax.vmap(path.bijection.forward)(points.epsilon), log_weights, acceptance, reverse=False)


def reverse_ais(
    log_density: LogDensity,
    start: Pushforward,
    exact_sample: Float[Array, "..."],
    betas: Float[Array, " betas"],
    step_sizes: Float[Array, " betas-2"],
    key: PRNGKeyArray,
    *,
    chains: int,
    leapfrog_steps: int,
) -> AISResult:
    """Chains from one exact sample of the normalised density back to `start`: a stochastic upper bound of log Z.

    They are the forward chains of `ais` run backwards, with the same `betas` and `step_sizes` in the same order. The
    chains share their first point, so that the bound holds on average over exact samples, and the standard error across
    the chains does not include how much it varies between exact samples.

    Args:
        log_density: unnormalised log density of one point in nats; may be `-inf`.
        start: where the chains end; its bijection is inverted once.
        exact_sample: one draw from the normalised density, such as the latent that a data point was simulated from.
        betas: inverse temperatures, strictly increasing from 0 to 1.
        step_sizes: of the leapfrog integrator, in the coordinates of the base, at each beta but the first and last.
        key: for the transitions.
        chains: trajectories from the exact sample.
        leapfrog_steps: of one Hamiltonian trajectory.
    """
    path = _Path(log_density, start)
    one = path.bijection.inverse(exact_sample)
    epsilon = jnp.broadcast_to(one, (chains, *one.shape))
    points, log_weights, acceptance = _anneal(path, epsilon, betas[::-1], step_sizes[::-1], key, leapfrog_steps)
    ends = jax.vmap(path.bijection.forward)(points.epsilon)
    return AISResult(ends, log_weights, acceptance[::-1], reverse=True)


def tune_step_sizes(
    log_density: LogDensity,
    start: Pushforward,
    betas: Float[Array, " betas"],
    key: PRNGKeyArray,
    *,
    chains: int,
    leapfrog_steps: int,
    target_acceptance: float = 0.65,
    transitions: int = 1,
    warmup: int = WARMUP,
    rate: float = 0.5,
    longest_trajectory: float = math.pi / 2,
) -> Float[Array, " betas-2"]:
    """A step size for each intermediate distribution, from a pilot run of `ais` whose chains are thrown away.

    After every transition the log step size moves by `rate (acceptance - target_acceptance)`, with the mean acceptance
    of the chains whose density is finite, and goes on to the next temperature (Robbins & Monro, 1951, with a constant
    rate, since the best step size drifts along the path).

    Args:
        log_density: unnormalised log density of one point in nats; may be `-inf`.
        start: where the path begins.
        betas: inverse temperatures, strictly increasing from 0 to 1.
        key: for the pilot run; another one than that of `ais`.
        chains: pilot chains.
        leapfrog_steps: of one Hamiltonian trajectory; the step sizes are good for this number only.
        target_acceptance: the best compromise in many dimensions (Beskos et al., 2013, "Optimal tuning of the hybrid
            Monte Carlo algorithm").
        transitions: at each temperature; more than 1 for paths of few temperatures, whose best step sizes differ more.
        warmup: further transitions at the first intermediate distribution.
        rate: of the adaptation.
        longest_trajectory: bound on `leapfrog_steps` times the step size. On N(0, I) a trajectory of length pi / 2 ends
            at an independent draw, and longer ones come back.
    """
    path = _Path(log_density, start)
    key_start, key_chains = jax.random.split(key)
    points = jax.vmap(path.point)(start.base.sample(key_start, (chains,)))
    bounds = math.log(SMALLEST_STEP), math.log(longest_trajectory / leapfrog_steps)

    def adapt(
        carry: tuple[_Point, Float[Array, ""]], inputs: tuple[Float[Array, ""], PRNGKeyArray]
    ) -> tuple[tuple[_Point, Float[Array, ""]], Float[Array, ""]]:
        points, log_step = carry
        beta, key = inputs
        points, accepted = path.transition(key, points, beta, jnp.exp(log_step), leapfrog_steps)
        acceptance = jnp.nan_to_num(jnp.mean(accepted, where=jnp.isfinite(points.log_ratio)))
        log_step = jnp.clip(log_step + rate * (acceptance - target_acceptance), *bounds)
        return (points, log_step), jnp.exp(log_step)

    inner = betas[1:-1]
    pilot = jnp.concatenate([jnp.repeat(inner[:1], warmup), jnp.repeat(inner, transitions)])
    log_step = jnp.full((), min(bounds[1], 0.0), betas.dtype)
    _, step_sizes = lax.scan(adapt, (points, log_step), (pilot, jax.random.split(key_chains, len(pilot))))
    return step_sizes[len(pilot) - len(inner) * transitions :][transitions - 1 :: transitions]


class _Point(NamedTuple):
    """A place on the path, with all that its density at any temperature needs.

    Attributes:
        epsilon: in the coordinates of the base.
        log_ratio: at `epsilon`.
        gradient: of `log_ratio`.
    """

    epsilon: Float[Array, "..."]
    log_ratio: Float[Array, "..."]
    gradient: Float[Array, "..."]


class _Path:
    """The densities `log base + beta log_ratio` of one start and one target, and the transitions that keep them."""

    def __init__(self, log_density: LogDensity, start: Pushforward) -> None:
        self.log_density = log_density
        self.base: Distribution = start.base
        self.bijection: Bijection = start.bijection.resolve()

    def log_ratio(self, epsilon: Float[Array, "..."]) -> Float[Array, ""]:
        z, log_det = self.bijection.forward_and_log_det(epsilon)
        return self.log_density(z) + log_det - self.base.log_prob(epsilon)

    def point(self, epsilon: Float[Array, "..."]) -> _Point:
        return _Point(epsilon, *jax.value_and_grad(self.log_ratio)(epsilon))

    def transition(
        self,
        key: PRNGKeyArray,
        points: _Point,
        beta: Float[Array, ""],
        step_size: Float[Array, ""],
        leapfrog_steps: int,
    ) -> tuple[_Point, Float[Array, " chains"]]:
        """One Hamiltonian transition of every chain at `beta > 0`, and the probabilities with which they accept."""

        def one(key: PRNGKeyArray, point: _Point) -> tuple[_Point, Float[Array, ""]]:
            return self._transition(key, point, beta, step_size, leapfrog_steps)

        return jax.vmap(one)(jax.random.split(key, len(points.epsilon)), points)

    def _transition(
        self,
        key: PRNGKeyArray,
        point: _Point,
        beta: Float[Array, ""],
        step_size: Float[Array, ""],
        leapfrog_steps: int,
    ) -> tuple[_Point, Float[Array, ""]]:
        """The transition of one chain; it evaluates the target `leapfrog_steps` times.

        The ratio and its gradient at the end are read off the density at `beta`. Their rounding error grows as
        `1 / beta`, but they only ever count times the next beta, or the distance to it.
        """
        log_base, base_gradient = jax.value_and_grad(self.base.log_prob)(point.epsilon)
        log_density, gradient = log_base + beta * point.log_ratio, base_gradient + beta * point.gradient
        hmc = blackjax.mcmc.hmc
        state, info = hmc.build_kernel()(
            key,
            hmc.HMCState(point.epsilon, log_density, gradient),
            lambda epsilon: self.base.log_prob(epsilon) + beta * self.log_ratio(epsilon),
            step_size,
            jnp.ones_like(point.epsilon),
            leapfrog_steps,
        )
        log_base, base_gradient = jax.value_and_grad(self.base.log_prob)(state.position)
        log_ratio = (state.logdensity - log_base) / beta
        gradient = (state.logdensity_grad - base_gradient) / beta
        return _Point(state.position, log_ratio, gradient), info.acceptance_rate


def _anneal(
    path: _Path,
    epsilon: Float[Array, "chains ..."],
    betas: Float[Array, " betas"],
    step_sizes: Float[Array, " betas-2"],
    key: PRNGKeyArray,
    leapfrog_steps: int,
) -> tuple[_Point, Float[Array, " chains"], Float[Array, " betas-2"]]:
    """Ends, log weights and mean acceptance of chains that start at `epsilon` and follow `betas`, up or down.

    Both directions are a weight update, then a transition at the next beta, and so on until the last weight update:
    with transitions that are reversible each is the other one backwards.
    """
    distances = jnp.abs(jnp.diff(betas))
    points = jax.vmap(path.point)(epsilon)

    def step(
        carry: tuple[_Point, Float[Array, " chains"]],
        inputs: tuple[Float[Array, ""], Float[Array, ""], Float[Array, ""], PRNGKeyArray],
    ) -> tuple[tuple[_Point, Float[Array, " chains"]], Float[Array, ""]]:
        points, log_weights = carry
        beta, distance, step_size, key = inputs
        points, acceptance = path.transition(key, points, beta, step_size, leapfrog_steps)
        return (points, log_weights + distance * points.log_ratio), jnp.mean(acceptance)

    inputs = betas[1:-1], distances[1:], step_sizes, jax.random.split(key, len(step_sizes))
    (points, log_weights), acceptance = lax.scan(step, (points, distances[0] * points.log_ratio), inputs)
    return points, log_weights, acceptance
