"""Tasks of simulation-based inference: simulated, trained, and held to reference draws."""

import time
from dataclasses import dataclass, replace
from typing import Any

import jax
import numpy as np

from pushforward.errors import UserError, nearest
from pushforward.evaluation import c2st
from pushforward.experiments.cluster import Cluster
from pushforward.inference.simulation import Settings, estimate, simulate
from pushforward.inference.summary import columns
from pushforward.studies.base import Cells, Study, measured
from pushforward.studies.sbi_benchmark.config import SbiBenchmarkConfig
from pushforward.studies.sbi_benchmark.tasks import TASKS

Result = dict[str, Any]
SbiBenchmarkStudy = Study[SbiBenchmarkConfig, Result]

DRAWS = 10_000
LARGE = 100_000


@dataclass(frozen=True)
class Plan:
    """Which cells there are.

    Attributes:
        tasks: their names.
        simulations: budgets of every task.
        seeds: of every task.
        repeated: tasks with three seeds.
        large: tasks with 100,000 simulations too, of the first seed.
    """

    tasks: tuple[str, ...]
    simulations: tuple[int, ...]
    seeds: int = 1
    repeated: tuple[str, ...] = ()
    large: tuple[str, ...] = ()

    def cells(self, first: int) -> list[tuple[str, int, int]]:
        """Task, simulations and seed of each, the first seed of all before others."""
        found = []
        for seed in range(3):
            for task in self.tasks:
                seeds = max(self.seeds, 3 if task in self.repeated else 1)
                budgets = (*self.simulations, *((LARGE,) if task in self.large and seed == 0 else ()))
                found += [(task, count, first + seed) for count in budgets if seed < seeds]
        return found


SMOKE = Plan(("two-moons", "gaussian-linear"), (1_000,))
PAPER = Plan(
    tuple(TASKS),
    (1_000, 10_000),
    repeated=("two-moons", "slcp", "lotka-volterra"),
    large=("two-moons", "slcp", "gaussian-mixture"),
)


def run_sbi_benchmark(config: SbiBenchmarkConfig, cluster: Cluster | None = None) -> SbiBenchmarkStudy:
    """Ten tasks of Lueckmann et al., 2021: C2ST of 10,000 draws against reference draws, over ten observations."""
    plan = SMOKE if config.budget == "smoke" else PAPER
    if config.tasks is not None:
        plan = replace(plan, tasks=config.tasks)
    if config.simulations is not None:
        plan = replace(plan, simulations=config.simulations, large=())
    if config.seeds is not None:
        plan = replace(plan, seeds=config.seeds, repeated=())
    for name in plan.tasks:
        if name not in TASKS:
            raise UserError(f"unknown task {name!r}{nearest(name, TASKS)}")
        TASKS[name].observation(1)  # Without the data nothing need be trained.
    settings = {"observations": config.observations}
    cells = [
        Cells.one(
            config.folder / "cells" / f"{task}-{simulations}-{seed}.json",
            settings,
            f"{__name__}:measure",
            *(task, simulations, seed, config.observations),
        )
        for task, simulations, seed in plan.cells(config.seed)
    ]
    return Study(config, measured(config, cells, cluster))


def measure(name: str, simulations: int, seed: int, observations: int) -> Result:
    """C2ST of each observation, and what it took."""
    task, began = TASKS[name], time.perf_counter()
    key_simulate, key_train, key_draws = jax.random.split(jax.random.key(seed), 3)
    prior = task.prior
    pairs = simulate(prior, task.simulator, key_simulate, simulations)
    simulated = time.perf_counter()
    posterior = estimate(prior, pairs, key_train, Settings(test=0.0))
    trained = time.perf_counter()
    scores, seconds = [], []
    for number in range(1, observations + 1):
        x = task.observation(number)
        start = time.perf_counter()
        draws = posterior.sample(jax.random.fold_in(key_draws, number), DRAWS, x)
        seconds.append(time.perf_counter() - start)
        found = np.stack(list(columns(draws).values()), axis=-1).astype(np.float64)
        scores.append(c2st(task.reference(number), found))
    return {
        "task": name,
        "simulations": simulations,
        "seed": seed,
        "c2st": scores,
        "log_likelihoods": posterior.trained.log_likelihoods[:2],
        "failures": dict(pairs.failures),
        "best_steps": posterior.trained.best_steps,
        "steps": posterior.trained.steps,
        "seconds_of_simulation": simulated - began,
        "seconds_of_training": trained - simulated,
        # The first compiles.
        "seconds_of_sampling": float(np.median(seconds)),
        "seconds": time.perf_counter() - began,
    }
