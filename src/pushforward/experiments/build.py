"""Models and losses from the settings of an experiment."""

import inspect
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

from pushforward import flows
from pushforward.amortize import has_networks
from pushforward.bijections import Chain, DiagonalAffine, Frozen, PartialExp, TriangularAffine
from pushforward.data import Dataset
from pushforward.data.checks import robust_moments
from pushforward.data.observe import Observation
from pushforward.dequantize import Dequantized, UniformDequantization, VariationalDequantization
from pushforward.distributions import Distribution, FamilyMixture, Normal, Pushforward, StudentT
from pushforward.errors import UserError, nearest
from pushforward.experiments.config import DlgmConfig, FitConfig, FlowConfig, TrainConfig, flag, flow_options
from pushforward.models import DLGM, LIKELIHOODS
from pushforward.objectives import annealing, free_energy
from pushforward.targets import Target
from pushforward.training import ensemble
from pushforward.training.fit import Loss

CALIBRATION_ROWS = 256
ROBUST_REACH = 100


def make_flow(
    config: FlowConfig, shape: tuple[int, ...], key: PRNGKeyArray, base: Distribution, fast: flows.Fast
) -> Pushforward:
    """An untrained flow of samples of one shape, flattened unless the family is for images.

    Raises:
        UserError: the family is unknown, does not exist in this shape, or lacks a setting that is given.
    """
    if config.flow not in flows.RECIPES:
        raise UserError(f"unknown flow {config.flow!r}{nearest(config.flow, flows.RECIPES)}")
    recipe = flows.RECIPES[config.flow]
    known = inspect.signature(recipe).parameters
    options: dict[str, Any] = config.options()
    for name in options:
        if name not in known:
            of_flow = [flag(option) for option in flow_options() if option in known]
            raise UserError(f"{config.flow} has no {flag(name)}; it has {', '.join(of_flow) or 'no settings'}")
    if "fast" in known:
        options["fast"] = fast
    if "shape" not in known:
        size: Any = int(np.prod(shape))
    elif len(shape) == 3:
        size = shape
    else:
        raise UserError(f"{config.flow} is for images (H, W, C), not for samples of shape {shape}")
    try:
        return recipe(key, size, config.length, base=base, **options)
    except ValueError as error:
        raise UserError(str(error)) from error


def make_fit_ensemble(config: FitConfig, dim: int) -> Pushforward:
    """The untrained flows of all restarts of a fit, along a leading axis."""
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    base = Normal.standard(dim, trained=config.base == "trained")
    return ensemble(lambda key: make_flow(config, (dim,), key, base, "sampling"), key, config.restarts)


def make_fit_loss(config: FitConfig, target: Target) -> Loss:
    """The free energy that a fit minimises."""
    stick_the_landing = config.gradient == "stick-the-landing"

    def loss(flow: Pushforward, key: PRNGKeyArray, step: Int[Array, ""]) -> Float[Array, ""]:
        return free_energy(
            flow,
            target.log_densities,
            key,
            config.batch_size,
            beta=annealing(step, config.annealing_steps),
            stick_the_landing=stick_the_landing,
        )

    return loss


def make_train_ensemble(
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
        units = Frozen(_units(data, whitened=whitened, robust=isinstance(model.base, StudentT)))
        return Pushforward(model.base, Chain((flow, units, *rest))).calibrated(jnp.asarray(rows, float))

    started: Pushforward | Dequantized = eqx.filter_jit(eqx.filter_vmap(calibrate))(models)
    return started


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


def _units(data: Dataset, *, whitened: bool, robust: bool) -> Chain | DiagonalAffine:
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
    flow = make_flow(config, shape, key_flow, _base(config, dim), "density")
    if levels is None:
        scaling = DiagonalAffine.identity(dim)
        units = Chain((TriangularAffine.identity(dim), scaling)) if config.start == "whitened" else scaling
        parts = (flow.bijection, Frozen(units))
        return Pushforward(flow.base, Chain((*parts, PartialExp(logged)) if any(logged) else parts))
    noise: UniformDequantization | VariationalDequantization = UniformDequantization(levels)
    if config.dequantization == "variational":
        noise = VariationalDequantization.init(key_noise, shape[-1], levels)
    return Dequantized(flows.pixels(flow, shape), noise)


def make_observation(config: DlgmConfig, levels: int | None) -> Observation:
    """What the images become for the likelihood of a deep latent Gaussian model.

    Raises:
        UserError: the binarisation is missing, or does not suit the data or the likelihood.
    """
    if levels is None:
        if config.likelihood != "normal":
            raise UserError(f"{config.data} holds real numbers, for --likelihood normal only")
        return Observation("real", 0)
    if config.likelihood == "bernoulli":
        return Observation(_binarisation(config, levels), levels)
    if config.binarisation is not None:
        raise UserError(f"--binarisation is for --likelihood bernoulli, not for {config.likelihood}")
    return Observation("levels" if config.likelihood in ("categorical", "logistic") else "continuous", levels)


def _binarisation(config: DlgmConfig, levels: int) -> Literal["static", "dynamic", "thresholded"]:
    binary = levels == 2
    suiting = "static" if binary else "dynamic or thresholded"
    if config.binarisation is None:
        raise UserError(f"--binarisation must be given: {suiting} for {config.data}, of {levels} grey levels")
    if (config.binarisation == "static") != binary:
        raise UserError(
            f"--binarisation must be {suiting} for {config.data}, of {levels} grey levels, not {config.binarisation}"
        )
    return config.binarisation


def make_dlgm(config: DlgmConfig, shape: tuple[int, ...], levels: int | None, key: PRNGKeyArray) -> DLGM:
    """The untrained model.

    Raises:
        UserError: the flow does not exist or lacks a setting that is given.
        ValueError: the flow cannot be amortised as asked.
    """
    dim, latents = int(np.prod(shape)), sum(config.latents)
    key_flow, key_model = jax.random.split(key)
    flow = make_flow(config, (latents,), key_flow, Normal.standard(latents), "sampling").bijection
    common: dict[str, Any] = {
        "likelihood": LIKELIHOODS[config.likelihood](levels or 0),
        "flow": flow if config.length else None,
        "amortized": config.amortised or ("context" if has_networks(flow) else "parameters"),
        "covariance": config.covariance,
    }
    if config.network == "convolutional":
        return DLGM.convolutional(key_model, _image(shape), latents, channels=config.hidden, **common)
    dense: dict[str, Any] = {"hidden": config.hidden, "activation": config.activation, "pieces": config.pieces}
    return DLGM.init(key_model, dim, config.latents, **dense, **common)


def make_dlgm_ensemble(config: DlgmConfig, shape: tuple[int, ...], levels: int | None) -> DLGM:
    """The untrained model, as an ensemble of one.

    Raises:
        UserError: the flow does not exist, lacks a setting that is given, or cannot be amortised as asked.
    """
    make_observation(config, levels)
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    try:
        return ensemble(lambda key: make_dlgm(config, shape, levels, key), key, 1)
    except ValueError as error:
        raise UserError(str(error)) from error


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise UserError(f"convolutions are for images (H, W, C), not for samples of shape {shape}")
    height, width, channels = shape
    return height, width, channels


def _base(config: TrainConfig, dim: int) -> Distribution:
    match config.base:
        case "normal" | None:
            return Normal.standard(dim)
        case "trained-normal":
            return Normal.standard(dim, trained=True)
        case "student-t":
            return StudentT.standard(dim, trained=True)
        case "families":
            return FamilyMixture.standard(dim)
