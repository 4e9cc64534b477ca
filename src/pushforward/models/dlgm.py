"""Deep latent Gaussian models, whose posterior is a flow that a network emits for every observation.

Rezende, Mohamed & Wierstra, 2014, "Stochastic backpropagation and approximate inference in deep generative models";
Rezende & Mohamed, 2015, "Variational inference with normalizing flows" (R&M), section 4.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.bijections import Bijection, Chain, DiagonalAffine, TriangularAffine
from pushforward.conditional import Amortized, Conditional, Shared, amortize, condition
from pushforward.distributions import Distribution, Normal, Pushforward
from pushforward.models.likelihoods import BernoulliLikelihood, Likelihood
from pushforward.models.networks import Divided, convolutional_decoder, convolutional_encoder, dense
from pushforward.nets import Sequential
from pushforward.types import PRNGKeyArray

Network = Callable[[Array], Array]
Amortization = Literal["parameters", "context", "none"]
Covariance = Literal["diagonal", "full"]


class Decoder(eqx.Module):
    """`p(x | z)`, where `z` holds the noise of every stochastic layer, from the top to the one above the data.

    `h_L = z_L`, `h_l = T_l(h_{l+1}) + G_l z_l`, and a likelihood takes `T_0(h_1)` (Rezende et al. 2014, equations 1-4).
    All of `z` is N(0, I) under the prior, so that a model of many stochastic layers is inferred like one of a single
    layer.

    Attributes:
        networks: `T_{L-1} ... T_0`.
        mixers: `G_{L-1} ... G_1`, matrices.
        likelihood: of the data.
    """

    networks: tuple[Network, ...]
    mixers: tuple[Float[Array, "_ _"], ...]
    likelihood: Likelihood

    def parameters(self, z: Float[Array, " latents"]) -> Float[Array, " parameters"]:
        """The numbers that the likelihood takes."""
        *networks, last = self.networks
        sizes = [len(mixer) for mixer in self.mixers]
        h, rest = jnp.split(z, [len(z) - sum(sizes)])
        for network, mixer in zip(networks, self.mixers):
            noise, rest = jnp.split(rest, [len(mixer)])
            h = network(h) + mixer @ noise
        return last(h)

    def __call__(self, z: Float[Array, " latents"]) -> Distribution:
        """The distribution of one observation."""
        return self.likelihood(self.parameters(z))


class Posterior(eqx.Module):
    """`q(z | x)`: noise N(0, I) pushed through an affine map and a flow, both functions of `x`.

    Attributes:
        encoder: from the observation to the features that everything is emitted from.
        affine: from the features to a `DiagonalAffine` or `TriangularAffine`: the Normal before the flow.
        flow: from the features to the layers: `Amortized`, `Conditional`, or `Shared` by all observations; if there are
            any.
    """

    encoder: Network
    affine: Amortized[Any]
    flow: Amortized[Bijection] | Conditional[Bijection] | Shared[Bijection] | None

    @staticmethod
    def init(
        key: PRNGKeyArray,
        encoder: Network,
        features: int,
        latents: int,
        flow: Bijection | None = None,
        amortized: Amortization = "parameters",
        covariance: Covariance = "diagonal",
        rank: int | None = None,
    ) -> "Posterior":
        """The posterior behind any encoder; for every observation it starts as N(0, I) pushed through `flow`.

        Args:
            key: for the random start.
            encoder: from an observation to `features` numbers.
            features: what it gives.
            latents: numbers in `z`.
            flow: of shape `(latents,)`; none unless given.
            amortized: what of the flow depends on the observation: every parameter, emitted by the encoder; the first
                layers of its networks; or nothing.
            covariance: of the Normal before the flow.
            rank: of the weights by which the parameters of the flow are emitted; full unless given.

        Raises:
            ValueError: the flow has another shape, or no networks that could see a context.
        """
        if flow is not None and flow.shape != (latents,):
            raise ValueError(f"the flow has event shape {flow.shape}, there are {latents} latents")
        key_affine, key_flow = jax.random.split(key)
        identity = {"diagonal": DiagonalAffine.identity, "full": TriangularAffine.identity}[covariance]
        layers: Amortized[Bijection] | Conditional[Bijection] | Shared[Bijection] | None = None
        if flow is not None:
            match amortized:
                case "parameters":
                    layers = amortize(flow, key_flow, features, depth=0, rank=rank)
                case "context":
                    layers = condition(flow, key_flow, features)
                case "none":
                    layers = Shared(flow)
        return Posterior(encoder, amortize(identity(latents), key_affine, features, depth=0), layers)

    def __call__(self, x: Float[Array, " D"]) -> Pushforward:
        """The posterior of one observation; batches are `jax.vmap`'s work."""
        features = self.encoder(x)
        affine = self.affine(features)
        layers = (affine,) if self.flow is None else (affine, self.flow(features))
        return Pushforward(Normal.standard(affine.shape[0]), Chain(layers))


class DLGM(eqx.Module):
    """A deep latent Gaussian model `p(z) p(x | z)` with `p(z) = N(0, I)`, and its approximate posterior.

    Every method acts on **one** observation `(D,)` and one latent vector; batches are `jax.vmap`'s work.

    Attributes:
        decoder: `p(x | z)`.
        posterior: `q(z | x)`.
        latents: numbers in `z`, over all stochastic layers.
    """

    decoder: Decoder
    posterior: Posterior
    latents: int = eqx.field(static=True)

    @staticmethod
    def init(
        key: PRNGKeyArray,
        dim: int,
        latents: Sequence[int] = (40,),
        *,
        likelihood: Likelihood | None = None,
        flow: Bijection | None = None,
        amortized: Amortization = "parameters",
        covariance: Covariance = "diagonal",
        hidden: Sequence[int] = (400, 400),
        activation: str = "maxout",
        pieces: int = 4,
        rank: int | None = None,
    ) -> "DLGM":
        """A model whose networks are of dense layers; those of R&M 2015, section 6.2, unless told otherwise.

        Args:
            key: for the random start.
            dim: numbers D in an observation.
            latents: numbers in each stochastic layer, from the data to the top.
            likelihood: of the data; Bernoulli unless given.
            flow: the layers after the affine map, of as many dimensions as there are latents in all; none unless given.
            amortized: what of the flow depends on the observation: every parameter, emitted by the encoder; the first
                layers of its networks; or nothing.
            covariance: of the Normal before the flow.
            hidden: units of the hidden layers of the encoder, and of each of the decoder's networks in reverse order.
            activation: of the hidden layers, one of `networks.ACTIVATIONS`.
            pieces: linear pieces behind each maxout unit; without effect on other activations.
            rank: of the weights by which the encoder emits the parameters of the flow; full unless given.

        Raises:
            ValueError: the flow has another shape, has no networks that could see a context, or `latents` is empty.

        Example:
            >>> flow = flows.planar(key, dim=40, length=20).bijection
            >>> model = DLGM.init(key, dim=784, flow=flow)
        """
        if not latents:
            raise ValueError("a deep latent Gaussian model needs at least one stochastic layer")
        likelihood = BernoulliLikelihood() if likelihood is None else likelihood
        key_encoder, key_decoder, key_flow = jax.random.split(key, 3)
        *below, top = latents
        encoder = _of(likelihood, dense(key_encoder, [dim, *hidden], None, activation, pieces))
        networks = [
            dense(k, [n, *reversed(hidden)], out, activation, pieces)
            for k, n, out in zip(
                jax.random.split(key_decoder, len(latents)),
                [top, *reversed(below)],
                [*reversed(below), dim * likelihood.size],
            )
        ]
        decoder = Decoder(tuple(networks), tuple(jnp.eye(n) for n in reversed(below)), likelihood)
        features, size = [dim, *hidden][-1], sum(latents)
        return DLGM(decoder, Posterior.init(key_flow, encoder, features, size, flow, amortized, covariance, rank), size)

    @staticmethod
    def convolutional(
        key: PRNGKeyArray,
        shape: tuple[int, int, int],
        latents: int = 40,
        *,
        likelihood: Likelihood | None = None,
        flow: Bijection | None = None,
        amortized: Amortization = "parameters",
        covariance: Covariance = "diagonal",
        channels: Sequence[int] = (32, 64),
        features: int = 256,
        rank: int | None = None,
    ) -> "DLGM":
        """A model of images with one stochastic layer, whose networks are of gated convolutions.

        Args:
            key: for the random start.
            shape: of an image, `(H, W, C)`; an observation is one flattened.
            latents: numbers in `z`.
            likelihood: of the data; Bernoulli unless given.
            flow: the layers after the affine map, of as many dimensions as there are latents; none unless given.
            amortized: what of the flow depends on the observation: every parameter, emitted by the encoder; the first
                layers of its networks; or nothing.
            covariance: of the Normal before the flow.
            channels: of the encoder's convolutions, each of which halves the image; in reverse those of the decoder.
            features: numbers that the encoder gives.
            rank: of the weights by which the encoder emits the parameters of the flow; full unless given.

        Raises:
            ValueError: the flow has another shape, has no networks that could see a context, or the image cannot be
                halved so often.
        """
        likelihood = BernoulliLikelihood() if likelihood is None else likelihood
        key_encoder, key_decoder, key_flow = jax.random.split(key, 3)
        encoder = _of(likelihood, convolutional_encoder(key_encoder, shape, channels, features))
        network = convolutional_decoder(key_decoder, latents, shape, channels, likelihood.size)
        posterior = Posterior.init(key_flow, encoder, features, latents, flow, amortized, covariance, rank)
        return DLGM(Decoder((network,), (), likelihood), posterior, latents)

    @property
    def prior(self) -> Normal:
        """N(0, I)."""
        return Normal.standard(self.latents)

    def log_joint(self, x: Float[Array, " D"], z: Float[Array, " latents"]) -> Float[Array, ""]:
        """`log p(x, z)` in nats.

        Args:
            x: one observation.
            z: one latent vector.
        """
        return self.prior.log_prob(z) + self.decoder(z).log_prob(x)

    def sample(self, key: PRNGKeyArray) -> tuple[Float[Array, " D"], Float[Array, " latents"]]:
        """An observation and the latent vector that it comes from: an exact sample of `p(z | x)`."""
        key_z, key_x = jax.random.split(key)
        z = self.prior.sample(key_z)
        return self.decoder(z).sample(key_x), z


def _of(likelihood: Likelihood, encoder: Sequential) -> Sequential:
    """The encoder of what a likelihood takes: numbers of the order of 1 go in."""
    return encoder if likelihood.largest == 1 else Sequential((Divided(likelihood.largest), *encoder.layers))
