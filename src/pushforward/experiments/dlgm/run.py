"""A deep latent Gaussian model on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.data.observe import Observation
from pushforward.distributions import Distribution
from pushforward.errors import UserError
from pushforward.experiments.data_runs import DataRun
from pushforward.experiments.dlgm.config import DlgmConfig
from pushforward.experiments.dlgm.models import make_ensemble, make_observation
from pushforward.experiments.runs import POINTS, Sampler
from pushforward.models import DLGM
from pushforward.training import Checkpoints
from pushforward.types import PRNGKeyArray


@dataclass(frozen=True)
class DlgmRun(DataRun):
    """A deep latent Gaussian model trained on images."""

    config: DlgmConfig

    def _template(self, described: Mapping[str, Any]) -> DLGM:
        return make_ensemble(self.config, tuple(described["shape"]), described["levels"])

    @cached_property
    def observation(self) -> Observation:
        """What the images become."""
        return make_observation(self.config, self.dataset.levels)

    @property
    def checkpoints(self) -> Checkpoints:
        return self._checkpoints(every_seconds=60.0)

    @cached_property
    def test_observations(self) -> Float[jax.Array, "n D"]:
        """The test set as the model sees it; what is random in it is drawn once, by the seed of the run."""
        images = self.dataset.test.reshape(len(self.dataset.test), -1)
        return self.observation(jnp.asarray(images), jax.random.fold_in(jax.random.key(self.config.seed), 4))

    def write_points(self, name: str, **values: np.ndarray) -> None:
        """Write numbers of each test image, so that estimators can be compared image by image."""
        folder = self.folder / POINTS
        folder.mkdir(exist_ok=True)
        partial = folder / f"{name}.partial.npz"
        arrays: dict[str, Any] = {name: np.asarray(value, np.float64) for name, value in values.items()}
        np.savez_compressed(partial, **arrays)
        partial.replace(folder / f"{name}.npz")

    def points(self, name: str) -> dict[str, np.ndarray]:
        """What `write_points` wrote under this name."""
        with np.load(self.folder / POINTS / f"{name}.npz") as file:
            return dict(file)

    @property
    def flow(self) -> Distribution:
        raise UserError(
            f"{self.folder} is of a deep latent Gaussian model, whose density cannot be evaluated exactly; "
            "pushforward.open_run gives its model"
        )

    @property
    def sampler(self) -> Sampler:
        """Observations in the shape of the data, each with its latent vector."""
        shape, model = self.dataset.shape, self.model

        @eqx.filter_jit
        def draw(model: DLGM, key: PRNGKeyArray, size: int) -> tuple[Array, Array]:
            x, z = jax.vmap(model.sample)(jax.random.split(key, size))
            return x.reshape(size, *shape), z

        return Sampler(shape, {"samples": (), "latents": ()}, lambda key, _, size: draw(model, key, size))
