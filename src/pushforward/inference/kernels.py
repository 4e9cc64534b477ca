"""Transitions behind a flow, in the coordinates of its base: NUTS, independence Metropolis and SMC."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import blackjax
import jax
import jax.numpy as jnp
from blackjax.mcmc import hmc
from blackjax.mcmc.random_walk import RWState
from blackjax.smc import extend_params, resampling
from jax import lax
from jaxtyping import Array, Bool, Float

from pushforward.bijections import Bijection
from pushforward.distributions import Pushforward
from pushforward.distributions.location_scale import LocationScale
from pushforward.targets import Target
from pushforward.training.members import on_all_devices
from pushforward.types import PRNGKeyArray

Method = Literal["nuts", "imh", "smc"]
METHODS: tuple[Method, ...] = ("nuts", "imh", "smc")

WARM_UP, DOUBLINGS = 300, 8
ROUND = {"nuts": 250, "imh": 2_000, "smc": 1_000}
"""Draws of each chain, or particles of each population, in a round."""
TEMPERED_ESS, MOVES, LEAPFROGS = 0.9, 3, 8


@dataclass(frozen=True)
class Behind:
    """A posterior in the standardised coordinates of the base of a flow: nearly its noise where the flow is good.

    Attributes:
        target: the posterior.
        base: of the flow, which that of every rung is: noise, scaled and shifted.
        bijection: of the flow, resolved.
    """

    target: Target
    base: LocationScale
    bijection: Bijection

    @staticmethod
    def of(target: Target, flow: Pushforward) -> "Behind":
        """The posterior behind a flow whose base is Normal or Student-t, as that of every rung is.

        Args:
            target: the posterior.
            flow: in its coordinates.
        """
        base: Any = flow.base
        return Behind(target, base, flow.bijection.resolve())

    def _on_base(self, x: Float[Array, " D"]) -> Float[Array, " D"]:
        return self.base.loc + jnp.exp(self.base.log_scale) * x

    def to_target(self, x: Float[Array, " D"]) -> tuple[Float[Array, " D"], Float[Array, ""]]:
        """The coordinates of the target, and the log-determinant."""
        z, log_det = self.bijection.forward_and_log_det(self._on_base(x))
        return z, log_det + jnp.sum(self.base.log_scale)

    def log_density(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """Unnormalised log density, in nats."""
        z, log_det = self.to_target(x)
        return self.target.log_density(z) + log_det

    def noise(self, key: PRNGKeyArray) -> Float[Array, " D"]:
        """A draw of the flow."""
        return (self.base.sample(key) - self.base.loc) * jnp.exp(-self.base.log_scale)

    def log_noise(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """The log density of the flow."""
        return self.base.log_prob(self._on_base(x)) + jnp.sum(self.base.log_scale)

    def log_ratio(self, x: Float[Array, " D"]) -> Float[Array, ""]:
        """Of the two densities: the log importance weight; the lowest number where there is no density."""
        ratio = self.log_density(x) - self.log_noise(x)
        return jnp.where(jnp.isnan(ratio), -jnp.inf, ratio).clip(jnp.finfo(x.dtype).min / 4)


class Tuned(NamedTuple):
    """What each chain moves with.

    Attributes:
        step_size: `(chains,)`.
        inverse_mass: `(chains, D)`, the diagonal.
    """

    step_size: Float[Array, " chains"]
    inverse_mass: Float[Array, "chains D"]


class Moved(NamedTuple):
    """A round of draws.

    Attributes:
        positions: where the chains are, `(chains, D)`, in standardised coordinates of the base.
        coordinates: `(chains, draws, D)`, of the target.
        log_p: unnormalised log posterior at them.
        divergent: whether the trajectory to each diverged.
        log_z: of each population of SMC, `(chains,)`; nothing of chains, `(0,)`.
    """

    positions: Float[Array, "chains D"]
    coordinates: Float[Array, "chains draws D"]
    log_p: Float[Array, "chains draws"]
    divergent: Bool[Array, "chains draws"]
    log_z: Float[Array, " populations"]


Advance = Callable[[Float[Array, "chains D"], Tuned, PRNGKeyArray], Moved]


def adapted(
    behind: Behind, start: Float[Array, "chains D"], key: PRNGKeyArray
) -> tuple[Float[Array, "chains D"], Tuned]:
    """Positions of the chains after window adaptation of NUTS, each of its own, and what it found.

    Args:
        behind: the posterior behind a flow.
        start: of each chain.
        key: for the transitions.
    """

    def adapt(key: PRNGKeyArray, start: Float[Array, " D"]) -> tuple[Array, Tuned]:
        adaptation = blackjax.window_adaptation(blackjax.nuts, behind.log_density, max_num_doublings=DOUBLINGS)
        (state, tuned), _ = adaptation.run(key, start, WARM_UP)
        return state.position, Tuned(tuned["step_size"], tuned["inverse_mass_matrix"])

    return _compiled(behind.target, adapt, len(start))(jax.random.split(key, len(start)), start)


def advance(behind: Behind, method: Method, chains: int) -> Advance:
    """A compiled round of a method: `(positions, tuned, key)` to what was drawn.

    Args:
        behind: the posterior behind a flow.
        method: `"nuts"`: a trajectory of NUTS, then a proposal drawn from the flow, which is taken or not by its
            importance weight (Gabrié, Rotskoff & Vanden-Eijnden, 2022, "Adaptive Monte Carlo augmented with normalizing
            flows"): the one explores around a chain, the other takes it to what is far. `"imh"`: such proposals only.
            `"smc"`: populations of draws of the flow, tempered to the posterior with an ESS of 90% a step, and moved by
            Hamiltonian dynamics (Del Moral, Doucet & Jasra, 2006, "Sequential Monte Carlo samplers").
        chains: how many.
    """
    one = _population(behind) if method == "smc" else _chain(behind, method)
    compiled = _compiled(behind.target, one, chains)

    def several(positions: Float[Array, "chains D"], tuned: Tuned, key: PRNGKeyArray) -> Moved:
        moved = compiled(positions, tuned, jax.random.split(key, chains))
        return moved if method == "smc" else moved._replace(log_z=jnp.zeros(0))

    return several


def _compiled(target: Target, one: Callable[..., Any], chains: int) -> Callable[..., Any]:
    """`one` of a chain, for all of them on all devices; on a single one where it calls the host, one call at a time."""
    return on_all_devices(one, chains) if target.twice_differentiable else jax.jit(jax.vmap(one))


def _chain(behind: Behind, method: Method) -> Callable[[Array, Tuned, PRNGKeyArray], Moved]:
    """A round of one chain."""
    jump = blackjax.irmh(
        behind.log_density,
        behind.noise,
        lambda _, proposed: behind.log_noise(proposed.position),
    )

    def chain(position: Float[Array, " D"], tuned: Tuned, key: PRNGKeyArray) -> Moved:
        local = blackjax.nuts(behind.log_density, *tuned, max_num_doublings=DOUBLINGS)

        def step(state: RWState, key: PRNGKeyArray) -> tuple[RWState, tuple[Array, ...]]:
            key_local, key_jump = jax.random.split(key)
            divergent = jnp.zeros((), bool)
            if method == "nuts":
                moved, info = local.step(key_local, local.init(state.position))
                state, divergent = RWState(moved.position, moved.logdensity), info.is_divergent
            state, _ = jump.step(key_jump, state)
            z, log_det = behind.to_target(state.position)
            return state, (z, state.logdensity - log_det, divergent)

        keys = jax.random.split(key, ROUND[method])
        state, (z, log_p, divergent) = lax.scan(step, jump.init(position), keys)
        return Moved(state.position, z, log_p, divergent, jnp.zeros(()))

    return chain


def _population(behind: Behind) -> Callable[[Array, Tuned, PRNGKeyArray], Moved]:
    """A population of one run of SMC."""

    def population(position: Float[Array, " D"], tuned: Tuned, key: PRNGKeyArray) -> Moved:
        key_start, key_steps, key_end = jax.random.split(key, 3)
        smc = blackjax.adaptive_tempered_smc(
            behind.log_noise,
            behind.log_ratio,
            hmc.build_kernel(),
            hmc.init,
            extend_params(
                {
                    "step_size": tuned.step_size,
                    "inverse_mass_matrix": tuned.inverse_mass,
                    "num_integration_steps": LEAPFROGS,
                }
            ),
            resampling.systematic,
            TEMPERED_ESS,
            num_mcmc_steps=MOVES,
        )

        def step(carry: tuple[Any, Array, PRNGKeyArray]) -> tuple[Any, Array, PRNGKeyArray]:
            state, log_z, key = carry
            key, key_step = jax.random.split(key)
            state, info = smc.step(key_step, state)
            return state, log_z + info.log_likelihood_increment, key

        start = jax.vmap(behind.noise)(jax.random.split(key_start, ROUND["smc"]))
        state = smc.init(start)._replace(tempering_param=jnp.zeros((), position.dtype))
        state, log_z, _ = lax.while_loop(
            lambda carry: carry[0].tempering_param < 1, step, (state, jnp.zeros((), position.dtype), key_steps)
        )
        order = resampling.systematic(key_end, state.weights, len(start))
        particles = state.particles[order]
        z, log_det = jax.vmap(behind.to_target)(particles)
        log_p = jax.vmap(behind.log_density)(particles) - log_det
        return Moved(particles[-1], z, log_p, jnp.zeros(len(start), bool), log_z)

    return population
