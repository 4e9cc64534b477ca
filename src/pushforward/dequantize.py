"""Dequantisation: discrete data as the corners of a continuous density.

Theis, van den Oord & Bethge, 2016, "A note on the evaluation of generative models"; Ho et al., 2019, "Flow++", section
3.1. Levels `0 ... L-1` become points of [0, 1]: `y = (x + u) / L` with noise `u` in [0, 1), and
`log P(x) >= E[log p(y) - log q(y | x)]`, in nats.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt8

from pushforward.distributions import Pushforward, over_batch
from pushforward.nets import ConvNet
from pushforward.types import PRNGKeyArray

__all__ = [
    "Dequantized",
    "UniformDequantization",
    "VariationalDequantization",
    "bits_per_dimension",
]


def __dir__() -> list[str]:
    return __all__


class UniformDequantization(eqx.Module):
    """Noise drawn uniformly."""

    levels: int = eqx.field(static=True)

    def sample_and_log_prob(
        self, key: PRNGKeyArray, x: UInt8[Array, "n H W C"]
    ) -> tuple[Float[Array, "n H W C"], Float[Array, " n"]]:
        """Points of [0, 1], and the log-density that they were drawn with.

        Args:
            key: for the noise.
            x: one sample in integers.
        """
        noise = jax.random.uniform(key, x.shape)
        return (x + noise) / self.levels, jnp.full(len(x), math.prod(x.shape[1:]) * math.log(self.levels))


class VariationalDequantization(eqx.Module):
    """Noise `sigmoid(mu(x) + sigma(x) e)` with `e ~ N(0, 1)`, whose networks learn what suits the flow.

    Attributes:
        levels: L.
        network: from the image in [0, 1] to `mu` and `log sigma` of every pixel.
    """

    network: ConvNet
    levels: int = eqx.field(static=True)

    @staticmethod
    def init(key: PRNGKeyArray, channels: int, levels: int, width: int = 32) -> "VariationalDequantization":
        """A network of `width` channels that starts with the noise close to uniform.

        Args:
            key: for the random start.
            channels: of an image.
            levels: grey levels.
            width: channels of the network.
        """
        return VariationalDequantization(ConvNet.init(key, channels, 2 * channels, width), levels)

    def sample_and_log_prob(
        self, key: PRNGKeyArray, x: UInt8[Array, "n H W C"]
    ) -> tuple[Float[Array, "n H W C"], Float[Array, " n"]]:
        """Points of [0, 1], and the log-density that they were drawn with.

        Args:
            key: for the noise.
            x: one sample in integers.
        """

        def draw(x: Array, noise: Array) -> tuple[Array, Array]:
            loc, log_scale = jnp.split(self.network((x + 0.5) / self.levels), 2, axis=-1)
            # The logistic law, whose sigmoid is uniform, has the standard deviation pi / sqrt(3).
            log_scale = log_scale + math.log(math.pi / math.sqrt(3))
            before = loc + jnp.exp(log_scale) * noise
            log_normal = -0.5 * noise**2 - log_scale - 0.5 * math.log(2 * math.pi)
            log_slope = -jax.nn.softplus(before) - jax.nn.softplus(-before)
            return (x + jax.nn.sigmoid(before)) / self.levels, jnp.sum(log_normal - log_slope)

        y, log_prob = over_batch(draw, x.shape[:1], x, jax.random.normal(key, x.shape))
        return y, log_prob + math.prod(x.shape[1:]) * math.log(self.levels)


class Dequantized(eqx.Module):
    """A flow of images in [0, 1] as a model of discrete ones.

    Attributes:
        flow: the continuous density.
        noise: what is added to the data.
    """

    flow: Pushforward
    noise: UniformDequantization | VariationalDequantization

    def log_prob_bound(self, x: UInt8[Array, "n H W C"], key: PRNGKeyArray) -> Float[Array, " n"]:
        """A lower bound of the log-probability of each image, in nats, from one draw of the noise.

        Args:
            x: one sample in integers.
            key: for the noise.
        """
        y, log_noise = self.noise.sample_and_log_prob(key, x)
        return self.flow.log_prob(y) - log_noise


def bits_per_dimension(log_prob: float, shape: tuple[int, ...]) -> float:
    """The log-probability of discrete data, in nats, as bits per dimension: `-log_prob / (D log 2)`.

    Args:
        log_prob: in nats.
        shape: of one sample.
    """
    return -log_prob / (math.prod(shape) * math.log(2))
