"""What training minimises."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from pushforward.border import Shape
from pushforward.dequantize import Dequantized
from pushforward.distributions import Distribution, Pushforward
from pushforward.probes import refreshed
from pushforward.types import PRNGKeyArray

__all__ = [
    "ForwardKL",
    "HeldOut",
    "annealing",
    "free_energy",
    "log_likelihoods",
    "path_log_prob",
    "sample_and_path_log_prob",
    "scale_gradient",
]


def __dir__() -> list[str]:
    return __all__


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
    flow = refreshed(flow, jax.random.fold_in(key, 1))
    if stick_the_landing:
        x, log_q = sample_and_path_log_prob(flow, key, (batch_size,))
    else:
        x, log_q = flow.sample_and_log_prob(key, (batch_size,))
    return jnp.mean(log_q - beta * log_density(x))


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


class ForwardKL(eqx.Module):
    """`-E[log q(x)]` over minibatches of data: `KL(data || q)` less a constant, in nats.

    A pytree, so that `training.fit` keeps the data on the device. Rows are drawn with replacement, which costs nothing
    inside the compiled loop. Estimated log-determinants get fresh probes in every step.

    Attributes:
        data: `(n, *event shape)`; uint8 for a `Dequantized` flow.
        batch_size: rows per step.
        smoothing: of vectors, a matrix S `(D, D)`: to each row S e is added, with e drawn from N(0, I) in every step.
            The flow is then trained on a kernel estimate of the density, which has no spikes (Rothfuss et al., 2019,
            "Noise regularization for conditional density estimation").
    """

    data: Shaped[Array, "n ..."]
    batch_size: int = eqx.field(static=True)
    smoothing: Float[Array, "D D"] | None = None

    def __call__(self, model: Distribution | Dequantized, key: PRNGKeyArray, step: Int[Array, ""]) -> Float[Array, ""]:
        """The loss of one step."""
        key_rows, key_model = jax.random.split(key)
        rows = self.data[jax.random.randint(key_rows, (self.batch_size,), 0, len(self.data))]
        if self.smoothing is not None:
            rows = rows + jax.random.normal(jax.random.fold_in(key, 2), rows.shape) @ self.smoothing.T
        return -jnp.mean(log_likelihoods(model, rows, key_model))


class HeldOut(eqx.Module):
    """`-E[log q(x)]` over a whole data set, a batch at a time, with the same noise and probes every time.

    Attributes:
        data: `(n, *event shape)`.
        batch_size: rows at a time: bounds the memory.
    """

    data: Shaped[Array, "n ..."]
    batch_size: int = eqx.field(static=True, default=4096)

    def __call__(self, model: Distribution | Dequantized) -> Float[Array, ""]:
        """The mean, in nats."""
        return -jnp.mean(self.each(model, jax.random.key(0)))

    def each(self, model: Distribution | Dequantized, key: PRNGKeyArray) -> Float[Array, " n"]:
        """The log-likelihood of every row, in nats; for a `Dequantized` flow a lower bound.

        Args:
            model: what is judged.
            key: for the noise of a `Dequantized` flow.
        """
        n = len(self.data)
        size = min(self.batch_size, n)
        whole = n // size * size
        batches = self.data[:whole].reshape(-1, size, *self.data.shape[1:])
        keys = jax.random.split(key, len(batches) + 1)
        values = lax.map(lambda batch: log_likelihoods(model, *batch), (batches, keys[1:])).ravel()
        return jnp.concatenate([values, log_likelihoods(model, self.data[whole:], keys[0])]) if whole < n else values


def log_likelihoods(
    model: Distribution | Dequantized, x: Shaped[Array, "n ..."], key: PRNGKeyArray
) -> Float[Array, " n"]:
    """Log-density of every row in nats; of a `Dequantized` flow a lower bound of the log-probability.

    Args:
        model: a distribution, or a dequantised one.
        x: rows.
        key: for the noise of a dequantised model.
    """
    key_probes, key_noise = jax.random.split(key)
    model = refreshed(model, key_probes)
    return model.log_prob_bound(x, key_noise) if isinstance(model, Dequantized) else model.log_prob(x)
