"""What makes the training of flows unstable: one factor at a time changed from a baseline."""

import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pushforward import stability, training
from pushforward.bijections import Residual
from pushforward.distributions import Pushforward
from pushforward.evaluation.means import finite_or_none
from pushforward.experiments.cluster import Cluster
from pushforward.objectives import HeldOut
from pushforward.studies.base import Cells, Study, measured
from pushforward.studies.density_of_states.data import Cell, InflatedData
from pushforward.studies.density_of_states.effort import PAPER, SMOKE, Effort
from pushforward.studies.density_of_states.traced import log_densities, train_traced
from pushforward.studies.density_of_states.training import check_cell
from pushforward.studies.training_stability.config import TrainingStabilityConfig

Result = dict[str, Any]
TrainingStabilityStudy = Study[TrainingStabilityConfig, Result]

FACTORS = {
    "learning_rate": "learning_rates",
    "gradient_clip": "gradient_clips",
    "batch_size": "batch_sizes",
    "points": "points",
    "scale": "scales",
    "diagonal": "diagonals",
}
"""The setting of an `Effort` or a `Cell`, and that of the study which lists its values."""

BOUNDED = ("real-vp", "real-nvp", "vp-nvp")
"""Flows whose log scales are bounded at the start by `Effort.scale`."""

ROWS = 500
ITERATIONS = 32


@dataclass(frozen=True)
class Setting:
    """A flow and how it is trained: the baseline, or that with one factor changed.

    Attributes:
        cell: the flow and its data.
        effort: how it is trained.
        factor: what is changed; None for the baseline.
    """

    cell: Cell
    effort: Effort
    factor: str | None = None

    def value(self, factor: str) -> float | str:
        """What a factor is here."""
        return getattr(self.cell if factor == "diagonal" else self.effort, factor)

    @property
    def name(self) -> str:
        """Of its file."""
        changed = "baseline" if self.factor is None else f"{self.factor}-{self.value(self.factor)}"
        return f"{self.cell.flow}-{changed}"


def run_training_stability(config: TrainingStabilityConfig, cluster: Cluster | None = None) -> TrainingStabilityStudy:
    """Clipping, learning rate, batch, data size, bounded scales and standardisation, one at a time, several seeds."""
    settings = list(_settings(config))
    for setting in settings:
        check_cell(setting.cell)
    cells = [
        Cells.one(
            config.folder / "cells" / f"{each.name}.json",
            {**asdict(each.cell), **asdict(each.effort), "seed": config.seed},
            f"{__name__}:measure",
            *(each, config.seed),
        )
        for each in settings
    ]
    results = measured(config, cells, cluster)
    # All flows see the same data, whatever their training.
    truth = InflatedData(settings[0].cell, settings[0].effort.points, config.seed).truth
    return Study(config, [{**result, "truth": truth} for result in results])


def _settings(config: TrainingStabilityConfig) -> Iterator[Setting]:
    effort = SMOKE if config.budget == "smoke" else replace(PAPER, seeds=10)
    given = {name: value for name in ("seeds", "steps", "width") if (value := getattr(config, name)) is not None}
    effort = replace(effort, **given)
    for flow in config.flows:
        yield from _changes(config, flow, effort, {name: getattr(config, values) for name, values in FACTORS.items()})
    for flow in config.controls:
        if flow not in config.flows:
            yield from _changes(config, flow, effort, {"learning_rate": (max(config.learning_rates),)})


def _changes(
    config: TrainingStabilityConfig, flow: str, effort: Effort, factors: dict[str, tuple[Any, ...]]
) -> Iterator[Setting]:
    """The baseline of a flow, and every value of a factor that differs from it."""
    baseline = Setting(Cell(config.manifold, config.dim, "normal", config.variance, flow), effort)
    yield baseline
    for factor, values in factors.items():
        if factor == "scale" and flow not in BOUNDED:
            continue
        for value in dict.fromkeys(values):
            if value == baseline.value(factor):
                continue
            if factor == "diagonal":
                yield Setting(replace(baseline.cell, diagonal=value), effort, factor)
            else:
                yield Setting(baseline.cell, replace(effort, **{factor: value}), factor)


def measure(setting: Setting, seed: int) -> Result:
    """Numbers of every seed at its best step, and `log p - log q` at the test rows; None where it diverged."""
    start = time.perf_counter()
    result: Result = {
        "flow": setting.cell.flow,
        "factor": setting.factor,
        "values": {factor: setting.value(factor) for factor in FACTORS},
    }
    seeds = setting.effort.seeds
    try:
        trained, data, trace = train_traced(setting.cell, setting.effort, seed)
    except training.Diverged:
        lost = {"members": [{"diverged": True}] * seeds, "gaps": [None] * seeds}
        return {**result, **lost, "seconds": time.perf_counter() - start}
    result["seconds"] = time.perf_counter() - start
    assert data.log_p is not None
    flows = _exact(trained.model.flow)
    log_q = np.asarray(log_densities(flows, data.test), np.float64)
    loss, key = HeldOut(jnp.asarray(data.test[:ROWS])), jax.random.key(seed)
    result["members"], result["gaps"] = [], []
    for index in range(seeds):
        top = stability.top_eigenvalues(training.member(flows, index), loss, key, iterations=ITERATIONS)
        member = {
            **_training(trained, trace, index, setting.effort.gradient_clip),
            "eigenvalue": finite_or_none(top.values[0]),
            "eigenvalue_error": finite_or_none(top.errors[0]),
        }
        sound = not member["diverged"] and bool(np.isfinite(log_q[index]).all())
        gap = data.log_p - log_q[index]
        result["members"].append({**member, "kl": float(gap.mean()) if sound else None})
        result["gaps"].append(np.round(gap, 4).tolist() if sound else None)
    return result


def _exact(flows: Pushforward) -> Pushforward:
    """Flows whose log-determinants are not estimated: an estimate has no Hessian."""

    def each(node: Any) -> Any:
        return replace(node, probe=None) if isinstance(node, Residual) else node

    return jax.tree.map(each, flows, is_leaf=lambda node: isinstance(node, Residual))


def _training(trained: training.Fit[Any], trace: stability.Trace, index: int, clip: float) -> dict[str, Any]:
    """How the training of one seed went; losses in nats, of the validation set."""
    last = trained.records[-1].validation
    assert trained.best_steps is not None
    assert trained.best_losses is not None
    assert last is not None
    norms = np.sqrt(sum(np.square(norm[index]) for norm in trace.gradient_norm.values()))
    made = np.isfinite(norms)
    return {
        "diverged": trained.divergences[index] is not None,
        "best_step": int(trained.best_steps[index]),
        "best_loss": finite_or_none(trained.best_losses[index]),
        "last_loss": finite_or_none(last[index]),
        "largest_gradient": float(norms[made].max()) if made.any() else None,
        "clipped": float(np.mean(norms[made] > clip)) if clip and made.any() else 0.0,
        "weight_change": {
            group: float(change[index][made].mean()) if made.any() else None
            for group, change in trace.weight_change.items()
        },
    }
