"""A deep latent Gaussian model whose `p(x)` and `p(z | x)` are known: its decoder is linear, of constant noise."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from scipy import stats

from pushforward.bijections import TriangularAffine
from pushforward.models import DLGM
from pushforward.models.likelihoods import NormalLikelihood

DIM, LATENTS, NOISE = 4, 2, 0.6

_rng = np.random.default_rng(0)
WEIGHT, BIAS = _rng.normal(size=(DIM, LATENTS)), _rng.normal(size=DIM)
COVARIANCE = np.linalg.inv(np.eye(LATENTS) + WEIGHT.T @ WEIGHT / NOISE**2)
SLOPE = COVARIANCE @ WEIGHT.T / NOISE**2
X = np.asarray(_rng.normal(size=(3, LATENTS)) @ WEIGHT.T + BIAS + NOISE * _rng.normal(size=(3, DIM)))


def log_evidence(x):
    """`log p(x)`."""
    return stats.multivariate_normal(BIAS, WEIGHT @ WEIGHT.T + NOISE**2 * np.eye(DIM)).logpdf(x)


def posterior_mean(x):
    """Of `p(z | x)`, whose covariance is `COVARIANCE`."""
    return (x - BIAS) @ SLOPE.T


def kl(mean, covariance, other_mean, other_covariance):
    """`KL(N(mean, covariance) || N(other_mean, other_covariance))`."""
    precision = np.linalg.inv(other_covariance)
    apart = other_mean - mean
    log_volumes = np.linalg.slogdet(other_covariance)[1] - np.linalg.slogdet(covariance)[1]
    return (np.trace(precision @ covariance) + apart @ precision @ apart - len(mean) + log_volumes) / 2


def model(flow=None, shift=0.0, stretch=1.0, **options):
    """The model, whose affine map gives the exact posterior, moved by `shift` and made `stretch` times as wide."""
    options = {"likelihood": NormalLikelihood(), "covariance": "full", "hidden": (), **options}
    made = DLGM.init(jax.random.key(0), DIM, (LATENTS,), flow=flow, **options)
    factor = np.linalg.cholesky(COVARIANCE) * stretch
    below, log_diagonal = jnp.asarray(np.tril(factor, -1), float), jnp.asarray(np.log(np.diag(factor)), float)

    def affine(loc, below, log_diagonal):
        return ravel_pytree(TriangularAffine(jnp.asarray(loc, float), below, log_diagonal))[0]

    columns = [affine(column, 0 * below, 0 * log_diagonal) for column in SLOPE.T]
    decoder_weight = np.concatenate([WEIGHT, np.zeros((DIM, LATENTS))])
    decoder_bias = np.concatenate([BIAS, np.full(DIM, np.log(NOISE))])
    return eqx.tree_at(
        lambda model: (
            model.decoder.networks[0].layers[0].weight,
            model.decoder.networks[0].layers[0].bias,
            model.posterior.affine.network.weights[0],
            model.posterior.affine.network.biases[0],
        ),
        made,
        (
            jnp.asarray(decoder_weight, float),
            jnp.asarray(decoder_bias, float),
            jnp.stack(columns, axis=-1),
            affine(shift - SLOPE @ BIAS, below, log_diagonal),
        ),
    )


def divergence(shift, stretch):
    """`KL(q(z | x) || p(z | x))` of `model(shift=shift, stretch=stretch)`, the same for every x."""
    zero = np.zeros(LATENTS)
    return kl(zero + shift, stretch**2 * COVARIANCE, zero, COVARIANCE)
