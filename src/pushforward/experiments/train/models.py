"""The flows that are trained on data, from the settings and the data."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from pushforward import flows
from pushforward.bijections import Chain, DiagonalAffine, Frozen, PartialExp, TriangularAffine
from pushforward.data import Dataset
from pushforward.data.checks import robust_moments
from pushforward.dequantize import Dequantized, UniformDequantization, VariationalDequantization
from pushforward.distributions import Distribution, FamilyMixture, Normal, Pushforward, StudentT
from pushforward.experiments.flows import make_flow
from pushforward.experiments.train.config import TrainConfig
from pushforward.training import ensemble
from pushforward.types import PRNGKeyArray

CALIBRATION_ROWS = 256
ROBUST_REACH = 100


def make_ensemble(
    config: TrainConfig, shape: tuple[int, ...], levels: int | None, logged: tuple[bool, ...] = ()
) -> Pushforward | Dequantized:
    """The untrained models of all restarts, along a leading axis, before they have seen data."""
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    return ensemble(lambda key: _model(config, shape, levels, logged, key), key, config.restarts)


def calibrated(models: Pushforward | Dequantized, data: Dataset, key: PRNGKeyArray) -> Pushforward | Dequantized:
    """An ensemble whose units and activation normalisation start from the training data."""
    rows = data.train[:CALIBRATION_ROWS]

    def calibrate(model: Any) -> Pushforward | Dequantized:
        if isinstance(model, Dequantized):
            images, _ = model.noise.sample_and_log_prob(key, jnp.asarray(rows))
            return Dequantized(model.flow.calibrated(images), model.noise)
        flow, units, *rest = model.bijection.bijections
        whitened = isinstance(units.bijection, Chain)
        units = Frozen(units_of(data, whitened=whitened, robust=isinstance(model.base, StudentT)))
        return Pushforward(model.base, Chain((flow, units, *rest))).calibrated(jnp.asarray(rows, float))

    return eqx.filter_jit(eqx.filter_vmap(calibrate))(models)


def gaussian_units(
    data: Dataset, *, whitened: bool, robust: bool
) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"], Float[np.ndarray, "D D"]]:
    """The centre and scale of each column of a table, and the Cholesky factor of their correlations.

    They are those of the training rows, of the logarithms where these are learned, in double precision. Columns are
    taken for independent unless `whitened`. For a base with heavy tails, whose moments need not exist, the moments are
    those of `robust` rows: moved to within a hundred of the standard deviations that the quartiles tell.
    """
    rows = data.learned(data.train)
    if robust:
        middle, width = robust_moments(rows)
        reach = np.where(width > 0, ROBUST_REACH * width, np.inf)
        rows = np.clip(rows, middle - reach, middle + reach)
    centre, scale = rows.mean(axis=0), rows.std(axis=0)
    correlations = np.cov((rows - centre) / scale, rowvar=False, bias=True) if whitened else np.eye(len(scale))
    return centre, scale, np.linalg.cholesky(np.atleast_2d(correlations))


def units_of(data: Dataset, *, whitened: bool, robust: bool) -> Chain | DiagonalAffine:
    """From standard units to those of the rows, of their logarithms where these are learned."""
    centre, scale, factor = gaussian_units(data, whitened=whitened, robust=robust)
    standardised = DiagonalAffine(jnp.asarray(centre, float), jnp.asarray(np.log(scale), float))
    if not whitened:
        return standardised
    parts = np.zeros(len(factor)), factor, np.log(np.diagonal(factor))
    return Chain((TriangularAffine(*(jnp.asarray(part, float) for part in parts)), standardised))


def _model(
    config: TrainConfig, shape: tuple[int, ...], levels: int | None, logged: tuple[bool, ...], key: PRNGKeyArray
) -> Pushforward | Dequantized:
    key_flow, key_noise = jax.random.split(key)
    dim = int(np.prod(shape))
    flow = make_flow(config, shape, key_flow, base_of(config, dim), "density")
    if levels is None:
        parts = (flow.bijection, Frozen(no_units(config, dim)))
        return Pushforward(flow.base, Chain((*parts, PartialExp(logged)) if any(logged) else parts))
    noise: UniformDequantization | VariationalDequantization = UniformDequantization(levels)
    if config.dequantization == "variational":
        noise = VariationalDequantization.init(key_noise, shape[-1], levels)
    return Dequantized(flows.pixels(flow, shape), noise)


def no_units(config: TrainConfig, dim: int) -> Chain | DiagonalAffine:
    """The identity, of the structure that `units_of` has."""
    scaling = DiagonalAffine.identity(dim)
    return Chain((TriangularAffine.identity(dim), scaling)) if config.start == "whitened" else scaling


def base_of(config: TrainConfig, dim: int) -> Distribution:
    """The base of the settings."""
    match config.base:
        case "normal" | None:
            return Normal.standard(dim)
        case "trained-normal":
            return Normal.standard(dim, trained=True)
        case "student-t":
            return StudentT.standard(dim, trained=True)
        case "families":
            return FamilyMixture.standard(dim)
