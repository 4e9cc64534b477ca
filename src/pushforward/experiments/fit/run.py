"""A fit on disk."""

from dataclasses import dataclass
from functools import cached_property

import equinox as eqx

from pushforward import targets
from pushforward.distributions import Pushforward
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.models import make_ensemble
from pushforward.experiments.runs import Run
from pushforward.experiments.targets import named_target
from pushforward.targets import Target, is_path
from pushforward.training import Checkpoints, member, restore_models


@dataclass(frozen=True)
class FitRun(Run):
    """A flow fitted to a density."""

    config: FitConfig

    @cached_property
    def target(self) -> Target:
        """What was fitted."""
        config = self.config
        if config.log_z is not None:
            return targets.make(config.target, config.dim, log_z=config.log_z)
        return targets.cut_open(named_target(config.target, config.dim, config.data))

    def prepare(self) -> None:
        eqx.filter_eval_shape(make_ensemble, self.config, self.target.dim)

    @property
    def checkpoints(self) -> Checkpoints:
        """Where training is saved: one checkpoint is kept for each frame of the animation."""
        steps, frames = self.config.steps, self.config.frames
        # Early training changes most: the frames stand at squares.
        return self._checkpoints({round(steps * ((frame + 1) / frames) ** 2) for frame in range(frames)} - {0})

    @cached_property
    def model(self) -> Pushforward:
        return self._flow_at(self.checkpoints.steps()[-1])

    @cached_property
    def snapshots(self) -> list[tuple[int, Pushforward]]:
        """The best restart along training: `(steps done, flow)`."""
        return [(step, self._flow_at(step)) for step in self.checkpoints.steps()]

    @cached_property
    def _template(self) -> Pushforward:
        # A function of the user's is not imported: its dimension is known, and it may be elsewhere by now.
        known = self.config.dim if is_path(self.config.target) else None
        dim = self.target.dim if known is None else known
        return eqx.filter_eval_shape(lambda: make_ensemble(self.config, dim))

    def _flow_at(self, step: int) -> Pushforward:
        return member(restore_models(self.checkpoints, step, self._template), self.result["best_restart"])
