"""What training minimises."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pushforward.distributions import Pushforward


def free_energy(
    flow: Pushforward,
    log_density: Callable[[Float[Array, "n D"]], Float[Array, " n"]],
    key: PRNGKeyArray,
    batch_size: int,
    *,
    beta: float | Float[Array, ""] = 1.0,
    stick_the_landing: bool = False,
) -> Float[Array, ""]:
    """Monte Carlo estimate of `E_q[log q(x) - beta log_density(x)]` in nats, with reparameterised gradients.

    With `beta` 1 it is `KL(q || p) - log Z` for the density `p = exp(log_density) / Z` (R&M 2015, equation 15).

    Args:
        flow: q.
        log_density: unnormalised log density of a batch.
        key: for the draws from q.
        batch_size: number of draws.
        beta: inverse temperature of the annealing.
        stick_the_landing: leave out the score term of the gradient, whose mean is 0, so that the variance of the
            gradient vanishes where q equals p (Roeder, Wu & Duvenaud, 2017, "Sticking the landing").
    """
    if stick_the_landing:
        x, log_q, score = flow.sample_and_score(key, (batch_size,))
        path = jnp.sum(lax.stop_gradient(score) * (x - lax.stop_gradient(x)), axis=-1)
        log_q = lax.stop_gradient(log_q) + path
    else:
        x, log_q = flow.sample_and_log_prob(key, (batch_size,))
    return jnp.mean(log_q - beta * log_density(x))


def annealing(step: Int[Array, ""], steps: int) -> Float[Array, ""]:
    """The inverse temperature `min(1, 0.01 + step / steps)` of R&M 2015, section 6.2; 1 throughout for `steps` 0."""
    return jnp.minimum(1.0, 0.01 + step / steps) if steps else jnp.ones(())
