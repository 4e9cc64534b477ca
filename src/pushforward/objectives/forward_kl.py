"""`KL(data || q)`: maximum likelihood, of a density or of one given contexts."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from pushforward.batches import divided
from pushforward.dequantize import Dequantized
from pushforward.distributions import Distribution
from pushforward.probes import refreshed
from pushforward.types import PRNGKeyArray

Model = Distribution | Dequantized | Callable[[Array], Distribution]
"""What is fitted: a density, that of images, or a function from a context to a density."""


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
        contexts: of each row, `(n, context)`: the model is then a function from a context to a density, as `amortize`
            and `condition` make them.

    Example:
        >>> loss = ForwardKL(x, 256, contexts=contexts)
        >>> fit(ensemble(lambda key: condition(flows.maf(key, 2, 5), key, 3), key, 1), loss, key=key, ...)
    """

    data: Shaped[Array, "n ..."]
    batch_size: int = eqx.field(static=True)
    smoothing: Float[Array, "D D"] | None = None
    contexts: Float[Array, "n context"] | None = None

    def __call__(self, model: Model, key: PRNGKeyArray, step: Int[Array, ""]) -> Float[Array, ""]:
        """The loss of one step."""
        key_rows, key_model = jax.random.split(key)
        chosen = jax.random.randint(key_rows, (self.batch_size,), 0, len(self.data))
        rows, contexts = divided((self.data[chosen], None if self.contexts is None else self.contexts[chosen]))
        if self.smoothing is not None:
            rows = rows + jax.random.normal(jax.random.fold_in(key, 2), rows.shape) @ self.smoothing.T
        return -jnp.mean(log_likelihoods(model, rows, key_model, contexts))


class HeldOut(eqx.Module):
    """`-E[log q(x)]` over a whole data set, a batch at a time, with the same noise and probes every time.

    Attributes:
        data: `(n, *event shape)`.
        batch_size: rows at a time: bounds the memory.
        contexts: of each row, `(n, context)`, where the model is a function from a context to a density.
    """

    data: Shaped[Array, "n ..."]
    batch_size: int = eqx.field(static=True, default=4096)
    contexts: Float[Array, "n context"] | None = None

    def __call__(self, model: Model) -> Float[Array, ""]:
        """The mean, in nats."""
        return -jnp.mean(self.each(model, jax.random.key(0)))

    def each(self, model: Model, key: PRNGKeyArray) -> Float[Array, " n"]:
        """The log-likelihood of every row, in nats; for a `Dequantized` flow a lower bound.

        Args:
            model: what is judged.
            key: for the noise of a `Dequantized` flow.
        """
        n = len(self.data)
        batches = -(-n // self.batch_size)
        # Of one size, so that one program does: some rows may be there twice.
        places = jnp.minimum(jnp.arange(batches * -(-n // batches)), n - 1).reshape(batches, -1)

        def batch(each: tuple[Int[Array, " size"], PRNGKeyArray]) -> Float[Array, " size"]:
            rows = divided((self.data[each[0]], None if self.contexts is None else self.contexts[each[0]]))
            return log_likelihoods(model, rows[0], each[1], rows[1])

        return lax.map(batch, (places, jax.random.split(key, batches))).ravel()[:n]


def log_likelihoods(
    model: Model, x: Shaped[Array, "n ..."], key: PRNGKeyArray, contexts: Float[Array, "n context"] | None = None
) -> Float[Array, " n"]:
    """Log-density of every row in nats; of a `Dequantized` flow a lower bound of the log-probability.

    Args:
        model: a distribution, a dequantised one, or a function from a context to a distribution.
        x: rows.
        key: for the noise of a dequantised model, and for the probes of estimated log-determinants.
        contexts: of the rows, for a function.
    """
    key_probes, key_noise = jax.random.split(key)
    model = refreshed(model, key_probes)
    if isinstance(model, Dequantized):
        return model.log_prob_bound(x, key_noise)
    if isinstance(model, Distribution):
        return model.log_prob(x)
    return jax.vmap(lambda context, row: model(context).log_prob(row))(contexts, x)
