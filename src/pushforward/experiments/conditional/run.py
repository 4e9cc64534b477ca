"""A conditional flow trained on data, on disk."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.contexts import Encoder, Standardised
from pushforward.errors import UserError
from pushforward.evaluation import Calibration
from pushforward.experiments.conditional.models import make_ensemble
from pushforward.experiments.runs import Sampler
from pushforward.experiments.train.config import ConditionalConfig
from pushforward.experiments.train.run import TrainRun
from pushforward.types import PRNGKeyArray

CALIBRATION = "calibration.npz"


@dataclass(frozen=True)
class ConditionalRun(TrainRun):
    """A density of some columns given others."""

    config: ConditionalConfig

    def _template(self, described: Mapping[str, Any]) -> Standardised:
        logged = tuple(column in self.config.log for column in described["columns"])
        given = described["given"]
        (dim,) = described["shape"]
        return make_ensemble(self.config, dim, given["columns"], given["categories"], logged)

    @property
    def contexts(self) -> tuple[str, ...]:
        """The names of the columns that are given."""
        return tuple(self._described["given"]["columns"])

    @property
    def sampler(self) -> Sampler:
        raise UserError(f"{self.folder} holds a conditional density: name its contexts, --given {self._named}")

    @property
    def _named(self) -> str:
        return " ".join(f"{column}=..." for column in self.contexts)

    def sampler_given(self, contexts: Float[np.ndarray, "rows columns"], n: int) -> Sampler:
        """How the model is drawn from given contexts: `n` draws of each, one after the other.

        Args:
            contexts: in their own units.
            n: draws of each.

        Raises:
            UserError: `n` is less than 1.
        """
        if n < 1:
            raise UserError(f"-n must be 1 or more, got {n}")
        model, rows = self.model, jnp.asarray(contexts, float)
        encoder: Encoder = model.encoder

        @eqx.filter_jit
        def draw(model: Standardised, key: PRNGKeyArray, chosen: Array) -> tuple[Array, ...]:
            keys = jax.random.split(key, len(chosen))
            samples, log_prob = jax.vmap(lambda context, key: model(context).sample_and_log_prob(key))(chosen, keys)
            return chosen, samples, log_prob

        categories = {name: words for name, words in zip(encoder.columns, encoder.categories) if words}
        arrays = {"context": encoder.columns, "samples": self.columns, "log_prob": ()}

        def drawn(key: PRNGKeyArray, start: int, size: int) -> tuple[Array, ...]:
            places = np.minimum((start + np.arange(size)) // n, len(rows) - 1)
            return draw(model, key, rows[places])

        return Sampler((len(self.columns),), arrays, drawn, categories)

    @property
    def flow(self) -> Any:
        """From a context, in its own units, to a distribution."""
        return self.model

    def keep_calibration(self, found: Calibration) -> None:
        """Write the ranks of test rows."""
        partial = self.folder / f"{CALIBRATION}.partial"
        with partial.open("wb") as file:
            np.savez(file, names=np.array(found.names), ranks=found.ranks)
        partial.replace(self.folder / CALIBRATION)

    @property
    def calibration(self) -> Calibration:
        """How the ranks of test rows are distributed."""
        with np.load(self.folder / CALIBRATION) as saved:
            ranks: Float[np.ndarray, "n names"] = saved["ranks"]
            return Calibration(tuple(map(str, saved["names"])), ranks)
