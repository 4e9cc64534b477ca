"""`KL(q || p)` for a density that can only be evaluated, from reparameterised draws of the flow."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from pushforward.batches import divided
from pushforward.border import Shape
from pushforward.distributions import Mixture, Pushforward
from pushforward.probes import refreshed
from pushforward.types import PRNGKeyArray


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
        batch_size: number of draws; of a mixture, rounded up to as many from each component.
        beta: inverse temperature of the annealing.
        stick_the_landing: leave out the score term of the gradient, whose mean is 0, so that the variance of the
            gradient vanishes where q equals p (Roeder, Wu & Duvenaud, 2017, "Sticking the landing").
    """
    flow = refreshed(flow, jax.random.fold_in(key, 1))
    if isinstance(flow.base, Mixture):
        return _stratified(flow, flow.base, log_density, key, batch_size, beta)
    if stick_the_landing:
        x, log_q = sample_and_path_log_prob(flow, key, (batch_size,))
    else:
        x, log_q = flow.sample_and_log_prob(key, (batch_size,))
    x, log_q = divided((x, log_q))
    return jnp.mean(log_q - beta * log_density(x))


def _stratified(
    flow: Pushforward,
    base: Mixture,
    log_density: Callable[[Float[Array, "n D"]], Float[Array, " n"]],
    key: PRNGKeyArray,
    batch_size: int,
    beta: float | Float[Array, ""],
) -> Float[Array, ""]:
    """The free energy from draws of every component, weighted as the mixture has them: it can be differentiated in
    the weights, which a draw of the mixture cannot."""
    count = len(base.logits)
    z = base.sample_each(key, -(-batch_size // count))
    x, log_det = jax.vmap(flow.bijection.resolve().forward_and_log_det)(z.reshape(-1, *flow.base.shape))
    values = base.log_prob(z).ravel() - log_det - beta * log_density(x)
    return jax.nn.softmax(base.logits) @ jnp.mean(values.reshape(count, -1), axis=1)


def sample_and_path_log_prob(
    flow: Pushforward, key: PRNGKeyArray, shape: Shape = ()
) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Draws and their log-densities, whose gradient is that along the path of the draw only: no score term.

    The score term has the mean 0, and what is left vanishes where the flow is the target (Roeder, Wu & Duvenaud, 2017,
    "Sticking the landing", equation 8).

    Args:
        flow: what is drawn from.
        key: for the draws.
        shape: of the batch; one sample, without a batch axis, unless given.
    """
    x, log_q, score = flow.sample_and_score(key, shape)
    return x, path_log_prob(x, log_q, score)


def path_log_prob(
    x: Float[Array, "..."], log_q: Float[Array, "*shape"], score: Float[Array, "..."]
) -> Float[Array, "*shape"]:
    """`log_q` with the gradient `score` in `x`, and no other; `x` and `score` are `(*shape, *event shape)`.

    Args:
        x: draws that gradients flow through.
        log_q: their log densities.
        score: gradient of `log_q` at `x`.
    """
    event = tuple(range(log_q.ndim, x.ndim))
    path = jnp.sum(lax.stop_gradient(score) * (x - lax.stop_gradient(x)), event)
    return lax.stop_gradient(log_q) + path


@jax.custom_vjp
def scale_gradient(x: Float[Array, "..."], factor: Float[Array, "..."]) -> Float[Array, "..."]:
    """`x`, whose gradient is multiplied by `factor`, which has none."""
    return x


scale_gradient.defvjp(lambda x, factor: (x, factor), lambda factor, gradient: (factor * gradient, None))


def annealing(step: Int[Array, ""], steps: int) -> Float[Array, ""]:
    """The inverse temperature `min(1, 0.01 + step / steps)` of R&M 2015, section 6.2; 1 throughout for `steps` 0.

    Args:
        step: counted from 0.
        steps: over which it rises to 1; 0 for none.
    """
    return jnp.minimum(1.0, 0.01 + step / steps) if steps else jnp.ones(())
