"""What the training of a deep latent Gaussian model minimises, and what its validation measures."""

import math
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int, Shaped

from pushforward.batches import divided
from pushforward.data.observe import Observation
from pushforward.models.dlgm import DLGM
from pushforward.objectives import annealing, path_log_prob, scale_gradient
from pushforward.types import PRNGKeyArray

Objective = Literal["free-energy", "iwae"]
Gradient = Literal["reparameterised", "stick-the-landing", "doubly-reparameterised"]
Annealed = Literal["joint", "kl"]


class Draws(eqx.Module):
    """The terms of the bound at draws of `q(z | x)` for one observation, in nats.

    Attributes:
        log_likelihood: `log p(x | z)`.
        log_prior: `log p(z)`.
        log_posterior: `log q(z | x)`.
    """

    log_likelihood: Float[Array, "*draws"]
    log_prior: Float[Array, "*draws"]
    log_posterior: Float[Array, "*draws"]

    @property
    def log_weights(self) -> Float[Array, "*draws"]:
        """`log p(x, z) - log q(z | x)`."""
        return self.log_likelihood + self.log_prior - self.log_posterior


def draw(
    model: DLGM, x: Float[Array, " D"], key: PRNGKeyArray, draws: int, gradient: Gradient = "reparameterised"
) -> Draws:
    """`draws` latent vectors of the posterior of one observation, seen through an estimator of the gradient.

    `stick-the-landing` leaves out the score of q (Roeder et al., 2017). `doubly-reparameterised` also multiplies the
    gradient through every draw by its normalised weight, which makes that of the importance-weighted bound unbiased
    (Tucker et al., 2019, "Doubly reparameterized gradient estimators for Monte Carlo objectives", equation 8).

    Args:
        model: the model.
        x: one observation.
        key: for the draws.
        draws: latent vectors.
        gradient: the estimator.
    """
    posterior = model.posterior(x)
    if gradient == "reparameterised":
        z, log_posterior = posterior.sample_and_log_prob(key, (draws,))
    else:
        z, log_q, score = posterior.sample_and_score(key, (draws,))
        if gradient == "doubly-reparameterised":
            log_weights = jax.vmap(model.log_joint, (None, 0))(x, z) - log_q
            z = scale_gradient(z, jax.nn.softmax(lax.stop_gradient(log_weights))[:, None])
        log_posterior = path_log_prob(z, log_q, score)
    log_likelihood = jax.vmap(lambda z: model.decoder(z).log_prob(x))(z)
    return Draws(log_likelihood, model.prior.log_prob(z), log_posterior)


class NegativeBound(eqx.Module):
    """A negative lower bound of `log p(x)`, in nats, over minibatches of images.

    The free energy `E_q[log q(z | x) - log p(x, z)]` (R&M 2015, equation 15) or the importance-weighted bound (Burda et
    al., 2016). A pytree, so that `training.fit` keeps the images on the device; rows are drawn with replacement.

    Attributes:
        images: `(n, D)`.
        observation: what they become, drawn anew in every step.
        batch_size: images per step.
        draws: latent vectors per image.
        objective: the free energy or the importance-weighted bound.
        gradient: see `draw`.
        annealed: what the inverse temperature `min(1, 0.01 + step / annealing_steps)` multiplies: `log p(x, z)` as in
            R&M 2015, section 6.2, or `log q(z | x) - log p(z)`.
        annealing_steps: 0 for none.
        free_bits: nats of `E[log q(z | x) - log p(z)]`, averaged over the batch, below which it exerts no force
            (Kingma et al., 2016, section 5.3, with all latents as one group).
    """

    images: Shaped[Array, "n D"]
    observation: Observation
    batch_size: int = eqx.field(static=True)
    draws: int = eqx.field(static=True, default=1)
    objective: Objective = eqx.field(static=True, default="free-energy")
    gradient: Gradient = eqx.field(static=True, default="reparameterised")
    annealed: Annealed = eqx.field(static=True, default="joint")
    annealing_steps: int = eqx.field(static=True, default=0)
    free_bits: float = eqx.field(static=True, default=0.0)

    def __call__(self, model: DLGM, key: PRNGKeyArray, step: Int[Array, ""]) -> Float[Array, ""]:
        """The loss of one step."""
        key_rows, key_observation, key_draws = jax.random.split(key, 3)
        rows = jax.random.randint(key_rows, (self.batch_size,), 0, len(self.images))
        x = self.observation(self.images[rows], key_observation)
        x, keys = divided((x, jax.random.split(key_draws, self.batch_size)))
        drawn = jax.vmap(lambda x, key: draw(model, x, key, self.draws, self.gradient))(x, keys)
        if self.objective == "iwae":
            return -jnp.mean(jax.vmap(self._importance_weighted)(drawn.log_weights))
        beta = annealing(step, self.annealing_steps)
        kl = jnp.mean(drawn.log_posterior - drawn.log_prior)
        if self.free_bits:  # An estimate of few draws may be negative, and must be left so where nothing is free.
            kl = jnp.maximum(kl, self.free_bits)
        if self.annealed == "kl":
            return beta * kl - jnp.mean(drawn.log_likelihood)
        # beta log p(x, z) = beta log p(x | z) + beta log p(z)
        return kl + (1 - beta) * jnp.mean(drawn.log_prior) - beta * jnp.mean(drawn.log_likelihood)

    def _importance_weighted(self, log_weights: Float[Array, " draws"]) -> Float[Array, ""]:
        bound: Float[Array, ""] = jax.nn.logsumexp(log_weights) - math.log(self.draws)
        if self.gradient == "reparameterised":
            return bound
        weighted = jnp.sum(jax.nn.softmax(lax.stop_gradient(log_weights)) * log_weights)
        return lax.stop_gradient(bound - weighted) + weighted


class HeldOutBound(eqx.Module):
    """The free energy over a whole set of images, a batch at a time, one draw each, with the same noise every time.

    Attributes:
        images: `(n, D)`.
        observation: what they become: the same every time.
        batch_size: images at a time: bounds the memory.
    """

    images: Shaped[Array, "n D"]
    observation: Observation
    batch_size: int = eqx.field(static=True, default=500)

    def __call__(self, model: DLGM) -> Float[Array, ""]:
        """The mean, in nats."""
        key_observation, key_draws = jax.random.split(jax.random.key(0))
        x = self.observation(self.images, key_observation)
        keys = jax.random.split(key_draws, len(x))

        def free_energy(inputs: tuple[Array, Array]) -> Float[Array, ""]:
            return -draw(model, *inputs, draws=1).log_weights[0]

        return jnp.mean(lax.map(free_energy, (x, keys), batch_size=min(self.batch_size, len(x))))
