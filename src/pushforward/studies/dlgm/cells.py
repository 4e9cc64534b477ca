"""Deep latent Gaussian models with flow posteriors: R&M 2015, Figure 4 and Table 3, amortising, families of flows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pushforward.errors import UserError, nearest
from pushforward.experiments.cluster import Cluster
from pushforward.experiments.dlgm.config import DlgmConfig, EvaluateConfig
from pushforward.experiments.dlgm.evaluation import run_evaluation
from pushforward.experiments.dlgm.presets import PRESETS
from pushforward.experiments.dlgm.run import DlgmRun
from pushforward.experiments.families import Affine, Continuous, Planar, Splines, Sylvester
from pushforward.experiments.runs import open_run
from pushforward.experiments.work import Piece
from pushforward.studies.base import Lost, Study, done, trained_or_lost
from pushforward.studies.dlgm.config import DlgmStudyConfig


@dataclass(frozen=True)
class Cell:
    """A run of such a study.

    Attributes:
        series: the line that it is a point of.
        length: K.
        run: the model, trained and evaluated, unless it diverged.
    """

    series: str
    length: int
    run: DlgmRun | Lost


DlgmStudy = Study[DlgmStudyConfig, Cell]
Series = Mapping[str, Mapping[str, Any]]
"""The lines of a figure: settings of the model; the length too where it is one point."""


@dataclass(frozen=True)
class Budget:
    """How much of everything; see `DlgmStudyConfig`."""

    lengths: tuple[int, ...]
    seeds: int
    steps: int
    images: int
    draws: int
    annealed_images: int
    chains: int
    temperatures: int


SMOKE = Budget((0, 10), 1, 300, 100, 50, 10, 4, 20)
PAPER = Budget((0, 10, 20, 40, 80), 3, 100_000, 10_000, 500, 1_000, 16, 1_000)

NO_FLOW = "no flow"

FIGURE_4: Series = {"planar": {"flow": "planar"}, "nice": {"flow": "nice"}}
TABLE_3: Series = {"planar": {"flow": "planar"}}
AMORTISED: Series = {
    "amortised": {"flow": "planar", "amortised": "parameters"},
    "static, initialised": {"flow": "planar", "amortised": "none", "settings": Planar(initialisation="xavier")},
    "static, plain": {"flow": "planar", "amortised": "none", "settings": Planar(initialisation="plain")},
}


POSTERIORS: Series = {
    "planar": {"flow": "planar", "length": 20},
    "nice": {"flow": "nice", "length": 20},
    **{
        f"sylvester, {kind}": {"flow": "sylvester", "length": 16, "settings": Sylvester(rank=8, orthogonal=kind)}
        for kind in ("orthogonal", "householder", "triangular")
    },
    "iaf": {"flow": "iaf", "length": 4, "settings": Affine(width=320, mixing="reverse")},
    "splines": {"flow": "nsf_coupling", "length": 4, "settings": Splines(width=128)},
    "continuous": {"flow": "continuous", "length": 1, "settings": Continuous(tolerance=1e-3, exact=False)},
}


def run_figure_4(config: DlgmStudyConfig, cluster: Cluster | None = None) -> DlgmStudy:
    """F, KL(q || p(z|x)) and -log p(x) of MNIST against K, planar and NICE (Rezende & Mohamed, 2015, Figure 4)."""
    return _run(config, cluster, PRESETS["dlgm-mnist"], FIGURE_4, PAPER)


def run_table_3(config: DlgmStudyConfig, cluster: Cluster | None = None) -> DlgmStudy:
    """-log p(x) of CIFAR-10 patches against K (Rezende & Mohamed, 2015, Table 3)."""
    return _run(config, cluster, PRESETS["dlgm-cifar-patches"], TABLE_3, replace(PAPER, lengths=(0, 2, 5, 10)))


def run_amortised_or_static(config: DlgmStudyConfig, cluster: Cluster | None = None) -> DlgmStudy:
    """Flow parameters emitted for each image, or shared by all and started well or not, on MNIST."""
    return _run(config, cluster, PRESETS["dlgm-mnist"], AMORTISED, replace(PAPER, lengths=(0, 10, 20)))


def run_posterior_families(config: DlgmStudyConfig, cluster: Cluster | None = None) -> DlgmStudy:
    """F, KL(q || p(z|x)) and -log p(x) of MNIST with posteriors of each family, each at the length that suits it."""
    if config.lengths is not None:
        raise UserError("--lengths is for studies of the length; here each family has its own")
    return _run(config, cluster, PRESETS["dlgm-mnist"], POSTERIORS, replace(PAPER, lengths=(0,)))


def _run(
    config: DlgmStudyConfig, cluster: Cluster | None, model: DlgmConfig, series: Series, paper: Budget
) -> DlgmStudy:
    """Every cell of a study."""
    budget = _budget(config, paper)
    names = config.series or tuple(series)
    for name in names:
        if name not in series:
            raise UserError(f"unknown series {name!r}{nearest(name, series)}; there are {', '.join(map(repr, series))}")
    points = list(_points({name: series[name] for name in names}, budget.lengths))
    runs, lines = {}, []
    for seed in range(config.seed, config.seed + budget.seeds):
        for line, folder, settings in points:
            cell = replace(model, seed=seed, steps=budget.steps, **settings)
            if config.budget == "smoke":
                cell = replace(cell, annealing_steps=100, validate_every=100, test_draws=2)
            runs[f"{folder}-seed-{seed}"] = cell
            lines.append((line, cell.length))
    found = trained_or_lost(config, runs, cluster)
    whole = [_as_dlgm(run) for run in found if not isinstance(run, Lost)]
    if not whole:
        raise UserError(f"every run diverged; {found[0].folder} {found[0]}")
    wanted = [[each for each in _evaluations(budget, run) if not _is_done(run, each)] for run in whole]
    pieces = [
        Piece(f"{run.folder.name} evaluated", f"{__name__}:evaluate", (run.folder.absolute(), each))
        for run, each in zip(whole, wanted)
        if each
    ]
    done(config, pieces, cluster)
    judged = [run if isinstance(run, Lost) else _as_dlgm(open_run(run.folder)) for run in found]
    return Study(config, [Cell(line, length, run) for (line, length), run in zip(lines, judged)])


def _points(series: Series, lengths: tuple[int, ...]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Of each point of the lines: the line, the folder, the settings. K = 0 is the same model in all, and is one."""
    if 0 in lengths:
        yield NO_FLOW, "0", {"length": 0}
    for line, settings in series.items():
        for length in [settings["length"]] if "length" in settings else sorted({*lengths} - {0}):
            yield line, f"{line.replace(', ', '-')}-{length}", {**settings, "length": length}


def _budget(config: DlgmStudyConfig, paper: Budget) -> Budget:
    """The budget of the study with the settings that are given."""
    budget = paper if config.budget == "paper" else replace(SMOKE, lengths=paper.lengths[:2])
    given = {name: getattr(config, name) for name in vars(budget) if getattr(config, name) is not None}
    return replace(budget, **given)


def _evaluations(budget: Budget, run: DlgmRun) -> list[EvaluateConfig]:
    """What a trained model is judged by."""
    images = len(run.dataset.test)
    estimators = [EvaluateConfig(run=run.folder, points=min(budget.images, images), draws=budget.draws)]
    if budget.annealed_images:
        estimators.append(
            EvaluateConfig(
                run=run.folder,
                estimator="ais",
                points=min(budget.annealed_images, images),
                chains=budget.chains,
                temperatures=budget.temperatures,
            )
        )
    return estimators


def _is_done(run: DlgmRun, evaluation: EvaluateConfig) -> bool:
    there = run.result.get("evaluations", {}).get(evaluation.estimator)
    return there is not None and there["command"] == evaluation.command()


def evaluate(folder: Path, evaluations: list[EvaluateConfig]) -> None:
    """Judge a trained model."""
    for evaluation in evaluations:
        run_evaluation(_as_dlgm(open_run(folder)), evaluation, quiet=True)


def _as_dlgm(run: Any) -> DlgmRun:
    if not isinstance(run, DlgmRun):
        raise UserError(f"{run.folder} holds another run; choose another --out")
    return run
