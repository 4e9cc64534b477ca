"""A kind of run and a study, as an extension would add them: the mean of a Normal, by its free energy."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import jax
import jax.numpy as jnp
import tyro

from pushforward import flows, targets
from pushforward.drawing.page import Table
from pushforward.experiments.config import TrainingConfig, check_positive
from pushforward.experiments.registry import Kind, Measure
from pushforward.experiments.runs import Run
from pushforward.experiments.session import description, purpose_key, train
from pushforward.objectives import free_energy
from pushforward.studies.base import Study, trained
from pushforward.studies.config import StudyConfig
from pushforward.studies.page import Described
from pushforward.studies.registry import StudyKind
from pushforward.training import adam, ensemble, member, restore_models


@dataclass(frozen=True, kw_only=True)
class ToyConfig(TrainingConfig):
    KIND: ClassVar[str] = "toy"
    COMMAND: ClassVar[str] = "train"
    SUBJECT: ClassVar[str] = "preset"

    preset: tyro.conf.Positional[str] = "toy"
    """where the defaults come from"""

    rate: float = 0.1
    """of Adam"""

    def check(self) -> None:
        super().check()
        check_positive(self, "rate")

    @property
    def title(self) -> str:
        return "a toy"

    @property
    def folder_name(self) -> str:
        return "toy"


KIND = Kind(
    config=ToyConfig,
    run=f"{__name__}:ToyRun",
    train=f"{__name__}:run_toy",
    report=f"{__name__}:write_report",
    show=f"{__name__}:print_toy",
    presets={"toy": ToyConfig(steps=40, batch_size=8)},
    summaries={"toy": "train: a toy"},
    measures=(Measure("free energy", "free_energy", better="lowest"),),
)


def make_ensemble(config):
    return ensemble(lambda key: flows.planar(key, 1, 0), jax.random.key(config.seed), 1)


class ToyRun(Run):
    def prepare(self):
        make_ensemble(self.config)

    @property
    def checkpoints(self):
        return self._checkpoints()

    @cached_property
    def model(self):
        return member(restore_models(self.checkpoints, self.checkpoints.steps()[-1], make_ensemble(self.config)), 0)


def run_toy(run, *, quiet=False):
    target = targets.make("correlated-gaussian", 1)

    def loss(model, key, step):
        return free_energy(model, lambda x: target.log_densities(x - 3), key, run.config.batch_size)

    optimizer = adam(run.config.rate, run.config.steps)
    trained, seconds = train(run, lambda: make_ensemble(run.config), loss, optimizer, quiet=quiet)
    draws = member(trained.model, 0).sample(purpose_key(run.config, 2), 1000)
    result = {"mean": float(jnp.mean(draws)), "warnings": [], **description(run, trained, seconds)}
    run.write_result(result)
    return result


def write_report(run):
    path = run.folder / "report.html"
    path.write_text(f"mean {run.result['mean']:.3f}")
    return path


def print_toy(run, report):
    print(f"mean {run.result['mean']:.3f}, report: {report}")


@dataclass(frozen=True)
class ToyStudyConfig(StudyConfig):
    rates: tuple[float, ...] = (0.01, 0.3)
    """of each cell"""


STUDY = StudyKind(
    config=ToyStudyConfig("toy-study"), summary="A toy.", cells=f"{__name__}:run_cells", page=f"{__name__}:described"
)


def run_cells(config, cluster=None):
    cells = [replace(KIND.presets["toy"], rate=rate, seed=config.seed) for rate in config.rates]
    return Study(config, trained(config, {str(cell.rate): cell for cell in cells}, cluster))


def described(study):
    rows = [{"rate": run.config.rate, "mean": run.result["mean"]} for run in study.runs]
    table = Table(["rate", "mean"], [[str(row["rate"]), f"{row['mean']:.3f}"] for row in rows])
    return Described("It ends near 0.", "A toy.", [run.result for run in study.runs], table, rows, [])
