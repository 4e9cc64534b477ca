"""The fit of a posterior on disk."""

import json
import math
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.devices import double_precision
from pushforward.distributions import Pushforward
from pushforward.errors import UserError
from pushforward.evaluation import Coverage, ImportanceEstimate
from pushforward.experiments.posterior.config import PosteriorConfig
from pushforward.experiments.runs import Run
from pushforward.experiments.targets import named_target
from pushforward.inference import Chains, Diagnosis, Posterior, Rung
from pushforward.saving import load_flow, save
from pushforward.targets import Target
from pushforward.training import Checkpoints

FLOW, DRAWS, CHAINS, NETCDF = "flow.pf", "draws.npz", "chains.npz", "posterior.nc"


@dataclass(frozen=True)
class PosteriorRun(Run):
    """A posterior, its approximation, and its chains if there are any."""

    config: PosteriorConfig

    @cached_property
    def target(self) -> Target:
        """What was fitted."""
        return named_target(self.config.target, self.config.dim, self.config.data)

    def prepare(self) -> None:
        self.target.describe()

    @property
    def checkpoints(self) -> Checkpoints:
        return self._checkpoints()

    @cached_property
    def model(self) -> Pushforward:
        """The best rung, in the precision of the process."""
        if not self.finished:
            raise UserError(f"{self.folder} is not finished; pushforward fit --resume {self.folder} goes on with it")
        return load_flow(self.folder / FLOW)

    def posterior(self) -> Posterior:
        """What was fitted, with its draws and chains.

        Raises:
            UserError: the run is not finished, or its model is not at hand.
        """
        best = dict(self.result["best"])
        estimate = ImportanceEstimate(**{name: best.pop(name) for name in list(ImportanceEstimate.__annotations__)})
        with double_precision():
            rung = Rung(**best, flow=load_flow(self.folder / FLOW), estimate=estimate)
        with np.load(self.folder / DRAWS) as draws:
            return Posterior(self.target, [rung], **draws, chains=self._chains(), coverage=self._coverage())

    def _coverage(self) -> Coverage | None:
        # Runs before there was a check have none; a number that is not finite is null there.
        saved = self.result.get("coverage")
        return saved and Coverage(**{name: math.nan if value is None else value for name, value in saved.items()})

    def _chains(self) -> Chains | None:
        path = self.folder / CHAINS
        if not path.is_file():
            return None
        with np.load(path) as saved:
            arrays = dict(saved)
        told = json.loads(str(arrays.pop("told")))
        diagnoses = tuple(Diagnosis(**each) for each in told["diagnoses"])
        # Runs before there was a choice have neither.
        arrays, method = {"log_z": np.zeros(0)} | arrays, told.get("method", "nuts")
        return Chains(**arrays, method=method, diagnoses=diagnoses, ess=told["ess"])

    def keep(self, posterior: Posterior) -> None:
        """Write flow, draws, chains and `posterior.nc`."""
        with double_precision():
            save(posterior.flow, self.folder / FLOW)
        _write(self.folder / DRAWS, {name: getattr(posterior, name) for name in ("coordinates", "log_p", "log_q")})
        if (chains := posterior.chains) is not None:
            diagnoses = [asdict(each) for each in chains.diagnoses]
            told = json.dumps({"method": chains.method, "diagnoses": diagnoses, "ess": chains.ess})
            arrays = ("coordinates", "log_p", "divergent", "base", "step_size", "inverse_mass", "log_z")
            _write(self.folder / CHAINS, {name: getattr(chains, name) for name in arrays} | {"told": np.array(told)})
        posterior.save(self.folder / NETCDF)


def _write(path: Path, arrays: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        np.savez(file, **arrays)
    partial.replace(path)
