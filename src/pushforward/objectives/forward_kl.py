"""`KL(data || q)`: maximum likelihood."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from pushforward.dequantize import Dequantized
from pushforward.distributions import Distribution
from pushforward.probes import refreshed
from pushforward.types import PRNGKeyArray


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
