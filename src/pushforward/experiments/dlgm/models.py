"""The deep latent Gaussian model and what it sees of the images, from the settings."""

from typing import Any, Literal

import jax
import numpy as np

from pushforward.conditional import has_networks
from pushforward.data.observe import Observation
from pushforward.distributions import Normal
from pushforward.errors import UserError
from pushforward.experiments.dlgm.config import DlgmConfig
from pushforward.experiments.flows import make_flow
from pushforward.models import DLGM, LIKELIHOODS
from pushforward.training import ensemble
from pushforward.types import PRNGKeyArray


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


def make_model(config: DlgmConfig, shape: tuple[int, ...], levels: int | None, key: PRNGKeyArray) -> DLGM:
    """The untrained model.

    Raises:
        UserError: the flow does not exist or lacks a setting that is given, or nothing of it is emitted by a rank.
        ValueError: the flow cannot be amortised as asked.
    """
    dim, latents = int(np.prod(shape)), sum(config.latents)
    key_flow, key_model = jax.random.split(key)
    flow = make_flow(config, (latents,), key_flow, Normal.standard(latents), "sampling").bijection
    amortized = config.amortised or ("context" if has_networks(flow) else "parameters")
    if config.emission_rank is not None and (amortized != "parameters" or not config.length):
        raise UserError("--emission-rank is for flows whose parameters the encoder emits: --amortised parameters")
    common: dict[str, Any] = {
        "likelihood": LIKELIHOODS[config.likelihood](levels or 0),
        "flow": flow if config.length else None,
        "amortized": amortized,
        "covariance": config.covariance,
        "rank": config.emission_rank,
    }
    if config.network == "convolutional":
        return DLGM.convolutional(key_model, _image(shape), latents, channels=config.hidden, **common)
    dense: dict[str, Any] = {"hidden": config.hidden, "activation": config.activation, "pieces": config.pieces}
    return DLGM.init(key_model, dim, config.latents, **dense, **common)


def make_ensemble(config: DlgmConfig, shape: tuple[int, ...], levels: int | None) -> DLGM:
    """The untrained model, as an ensemble of one.

    Raises:
        UserError: the flow does not exist, lacks a setting that is given, or cannot be amortised as asked.
    """
    make_observation(config, levels)
    key = jax.random.fold_in(jax.random.key(config.seed), 0)
    try:
        return ensemble(lambda key: make_model(config, shape, levels, key), key, 1)
    except ValueError as error:
        raise UserError(str(error)) from error


def _image(shape: tuple[int, ...]) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise UserError(f"convolutions are for images (H, W, C), not for samples of shape {shape}")
    height, width, channels = shape
    return height, width, channels
