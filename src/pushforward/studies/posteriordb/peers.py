"""Other ways to approximate the posterior of a NumPyro model: guides, Pathfinder and NUTS."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import blackjax
import jax
import numpy as np
import optax
from jaxtyping import Float

from pushforward.errors import UserError
from pushforward.targets import Target
from pushforward.targets.callables import first_line
from pushforward.types import PRNGKeyArray

PATHS = 8
PARTICLES, LEARNING_RATE = 16, 1e-2
CHAINS = 4


@dataclass(frozen=True)
class Approximation:
    """Draws in the coordinates of a target.

    Attributes:
        coordinates: `(n, D)`.
        log_q: log density of what was drawn from, in nats.
    """

    coordinates: Float[np.ndarray, "n D"]
    log_q: Float[np.ndarray, " n"]


def pathfinder(target: Target, key: PRNGKeyArray, draws: int) -> Approximation:
    """Draws of Pathfinder from several starts (Zhang et al., 2022).

    Args:
        target: the posterior.
        key: for starts and draws.
        draws: of all paths together.
    """
    key_starts, key_paths = jax.random.split(key)
    # The starts of Stan: uniform in [-2, 2] in each coordinate.
    starts = jax.random.uniform(key_starts, (PATHS, target.dim), minval=-2, maxval=2)

    def path(each: tuple[PRNGKeyArray, Float[jax.Array, " D"]]) -> tuple[jax.Array, jax.Array]:
        key_path, key_draws = jax.random.split(each[0])
        state, _ = blackjax.vi.pathfinder.approximate(key_path, target.log_density, each[1])
        return blackjax.vi.pathfinder.sample(key_draws, state, draws // PATHS)

    # In turn: side by side the draws by which all paths judge their steps take 20 GB on 5,000 rows of data.
    samples, log_q = jax.jit(lambda keys, starts: jax.lax.map(path, (keys, starts)))(
        jax.random.split(key_paths, PATHS), starts
    )
    return Approximation(np.asarray(samples).reshape(-1, target.dim), np.asarray(log_q, np.float64).ravel())


def guided(
    model: Callable[..., Any], arguments: dict[str, Any], guide: str, key: PRNGKeyArray, steps: int, draws: int
) -> Approximation:
    """Draws of a guide of NumPyro, trained by its `SVI` with 16 draws a step and Adam, 0.01 and a cosine.

    Args:
        model: a NumPyro model.
        arguments: of it.
        guide: its class, by name.
        key: for training and draws.
        steps: of Adam.
        draws: of the guide.
    """
    from numpyro.infer import SVI, Trace_ELBO, autoguide

    # The law of AutoNormal, as one of all coordinates.
    name = "AutoDiagonalNormal" if guide == "AutoNormal" else guide
    made = getattr(autoguide, name)(model)
    key_train, key_draws = jax.random.split(key)
    particles = 1 if name == "AutoLaplaceApproximation" else PARTICLES
    svi = SVI(model, made, optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, steps)), Trace_ELBO(particles))
    try:
        result = svi.run(key_train, steps, progress_bar=False, **arguments)
    except RuntimeError as error:
        raise UserError(f"{guide} cannot be trained: {first_line(error)}") from error
    law = made.get_posterior(result.params)

    def drawn(key: PRNGKeyArray) -> tuple[jax.Array, jax.Array]:
        x, intermediates = law.sample_with_intermediates(key, (draws,))
        return x, law.log_prob(x, intermediates) if intermediates else law.log_prob(x)

    x, log_q = jax.jit(drawn)(key_draws)
    # That of a Normal without correlations is one number a coordinate.
    return Approximation(np.asarray(x), np.asarray(log_q, np.float64).reshape(draws, -1).sum(axis=1))


def nuts(
    target: Target, key: PRNGKeyArray, warm_up: int, draws: int
) -> tuple[dict[str, Float[np.ndarray, "chains draws ..."]], float]:
    """Draws of NumPyro's NUTS at its defaults, by name, and the share that diverged; 4 chains side by side.

    They move on the model's density and are brought to its parameters here: of a support that depends on another
    parameter NumPyro takes the bounds that it has met first.

    Args:
        target: the posterior.
        key: for the chains.
        warm_up: transitions before.
        draws: of each chain.
    """
    from numpyro.infer import MCMC, NUTS

    key_starts, key_chains = jax.random.split(key)
    # NumPyro's own starts: uniform in [-2, 2] in each coordinate, where the density is finite.
    tried = jax.random.uniform(key_starts, (100 * CHAINS, target.dim), minval=-2, maxval=2)
    starts = tried[np.resize(np.flatnonzero(target.usable(tried)), CHAINS)]
    options = {"num_warmup": warm_up, "num_samples": draws, "num_chains": CHAINS}
    kernel = NUTS(potential_fn=lambda z: -target.log_density(z))
    chains = MCMC(kernel, chain_method="vectorized", progress_bar=False, **options)
    chains.run(key_chains, init_params=starts)
    values = jax.jit(target.constrain)(chains.get_samples(group_by_chain=True))
    found = {name: np.asarray(array) for name, array in values.items()}
    return found, float(np.mean(chains.get_extra_fields()["diverging"]))
