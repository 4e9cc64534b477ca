"""A flow trained on data, on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from pushforward.data import Dataset
from pushforward.errors import UserError
from pushforward.experiments.data_runs import DataRun
from pushforward.experiments.runs import Sampler
from pushforward.experiments.train.config import ConditionalConfig, TrainConfig
from pushforward.experiments.train.models import make_ensemble
from pushforward.experiments.train.residuals import residuals
from pushforward.experiments.train.suited import suited


@dataclass(frozen=True)
class TrainRun(DataRun):
    """A flow trained on data."""

    config: TrainConfig

    def settled(self) -> TrainConfig:
        """The settings that suit the data; those of another kind of run where the data have contexts."""
        if self.dataset.given is None:
            if self.config.conditioning is not None:
                raise UserError("--conditioning is for data with contexts: name some columns by --given")
            return suited(self.config, self.dataset)
        values = {field.name: getattr(self.config, field.name) for field in fields(self.config)}
        if any(self.dataset.logged) and self.config.smoothing is None:
            # Residuals do not tell that noise on the rows may lead out of the logarithms.
            values["smoothing"] = 0.0
        return suited(ConditionalConfig(**values), residuals(self.dataset))

    def _load(self, **options: Any) -> Dataset:
        table = self.config.table_options(heavy_tails=self.config.base == "student-t")
        return super()._load(size=self.config.size, options=table, **options)

    def _template(self, described: Mapping[str, Any]) -> Any:
        logged = tuple(column in self.config.log for column in described["columns"])
        return make_ensemble(self.config, tuple(described["shape"]), described["levels"], logged)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns of a table."""
        return tuple(self._described["columns"])

    @property
    def sampler(self) -> Sampler:
        return replace(super().sampler, arrays={"samples": self.columns, "log_prob": ()})
