"""The table, the figures and the page of a study."""

import json
import math
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from pushforward.evaluation.judge import MISSED, Judgement, contradictions
from pushforward.experiments.runs import FitRun
from pushforward.experiments.studies import Study
from pushforward.experiments.studies.rezende_mohamed_figure_3 import EnergiesStudy
from pushforward.experiments.study_config import (
    DlgmStudyConfig,
    EnergiesConfig,
    LandscapeConfig,
    OutOfDistributionConfig,
    StatesStudyConfig,
    StudyConfig,
    TrainingStabilityConfig,
)
from pushforward.reports import (
    dlgm_study,
    landscape_study,
    out_of_distribution_study,
    stability_study,
    states_study,
    summary,
)
from pushforward.reports.figures import StudyFit, StudyRow, study_grid
from pushforward.reports.html import Picture, Table, render
from pushforward.reports.study_parts import Described, markdown_table
from pushforward.reports.text import DASH, number

REPORTED = (
    "kl",
    "kl_std_error",
    "reverse_kl_grid",
    "forward_kl_grid",
    "log_z",
    "log_z_estimate",
    "log_z_std_error",
    "ess_fraction",
    "k_hat",
    "restarts",
    "seconds",
    "steps_per_second",
    "command",
)
COLUMNS = [
    "target",
    "flow",
    "K",
    "KL(q‖p)",
    "KL(q‖p), grid",
    "KL(p‖q), grid",
    "log Z error",
    "ESS",
    "k-hat",
    "restarts",
]
LINE = 120
REPRODUCIBLE_K_HAT = 0.6
UNTRUSTED = "†"
JUDGED = "kl", "kl_std_error", "reverse_kl_grid", "forward_kl_grid", "log_z", "log_z_estimate", "log_z_std_error"


def write_study(study: Study[Any, Any]) -> Path:
    """Write the table, the figures and the page of a study into its folder, all but the page into `--results` too.

    They are `NAME.md`, `NAME.json`, `NAME.png`, `NAME-MORE.png` for further figures, and `report.html`.

    Returns:
        The path of `report.html`.
    """
    name, config = study.config.study, study.config
    described = DESCRIBE[type(config)](study)
    pictures = {
        f"{name}{end}.png": Picture.drawn(heading, caption, drawing)
        for end, heading, caption, drawing in described.drawings
        if drawing is not None
    }
    console = Console()
    for folder in filter(None, (config.folder, config.results)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(_markdown(config, described))
        (folder / f"{name}.json").write_text(json.dumps(described.rows, indent=1, allow_nan=False) + "\n")
        for file, picture in pictures.items():
            (folder / file).write_bytes(picture.light)
        console.print(f"table and figures: {folder}/{name}*.{{md,json,png}}", soft_wrap=True, markup=False)
    report: Path = config.folder / "report.html"
    report.write_text(_page(config, described, list(pictures.values())), encoding="utf-8")
    console.print(f"report: {report}", soft_wrap=True, markup=False)
    return report


def _markdown(config: StudyConfig, described: Described) -> str:
    environment = described.results[0]["environment"]
    lines = [
        f"# {config.study}",
        "",
        *textwrap.wrap(described.words, LINE, break_long_words=False, break_on_hyphens=False),
        "",
        f"    {config.command()}",
        "",
        f"{environment['device']} ({environment['processor']}), JAX {environment['jax']}, "
        f"pushforward {environment['pushforward']}; {described.hours:.1f} hours of training in all.",
        "",
        *markdown_table(described.table),
    ]
    return "\n".join(lines) + "\n"


def _page(config: StudyConfig, described: Described, pictures: list[Picture]) -> str:
    environment = described.results[0]["environment"]
    return render(
        config.study,
        verdict=[described.words],
        results=described.table,
        pictures=pictures,
        configuration=summary.configuration(asdict(config)),
        command=config.command(),
        environment=Table([], [*map(list, environment.items()), ["time of training", f"{described.hours:.2f} h"]]),
    )


def _energies(study: EnergiesStudy) -> Described:
    rows = [_row(run) for run in study.runs]
    figure = study_grid(
        [
            StudyRow(
                cells[0].target,
                [StudyFit(run.config.flow, run.config.length, run.model, run.result["kl"]) for run in cells],
            )
            for cells in ([*group] for _, group in groupby(study.runs, key=lambda run: run.config.target))
        ]
    )
    words = (
        "All divergences in nats; 0 is perfect. `KL(q‖p)` from 131,072 draws of the best restart, with its standard "
        "error; `log Z error`: the importance-sampling estimate less the value by quadrature, with its standard error; "
        f"`restarts`: median and worst KL of all restarts. {UNTRUSTED}: not to be trusted, other draws may give other "
        f"numbers: k-hat is over {REPRODUCIBLE_K_HAT}, or log Z or `KL(p‖q)` shows that the flow misses a "
        "part of the target."
    )
    caption = "The best restart of each flow on the colour scale of its target; the lowest KL of a row is in bold."
    table = Table(COLUMNS, [_cells(row) for row in rows], text_columns=3)
    return Described(words, [run.result for run in study.runs], table, rows, [("", "Densities", caption, figure)])


def _row(run: FitRun) -> dict[str, Any]:
    result, config = run.result, run.config
    return {
        "target": config.target,
        "flow": config.flow,
        "length": config.length,
        **{key: result[key] for key in REPORTED},
    }


def _cells(row: dict[str, Any]) -> list[str]:
    kls = sorted(math.inf if kl is None else kl for kl in row["restarts"])
    log_z_error = None if row["log_z_estimate"] is None else row["log_z_estimate"] - row["log_z"]
    mark = f" {UNTRUSTED}" if _untrusted(row) else ""
    numbers = [
        number(row["kl"], row["kl_std_error"]),
        number(row["reverse_kl_grid"]),
        number(row["forward_kl_grid"]),
        None if log_z_error is None else f"{number(log_z_error, row['log_z_std_error'])}{mark}",
        None if row["ess_fraction"] is None else f"{row['ess_fraction']:.1%}{mark}",
        None if row["k_hat"] is None else f"{row['k_hat']:.2f}{mark}",
        f"{number(kls[len(kls) // 2]) or DASH}, {number(kls[-1]) or DASH}",
    ]
    return [row["target"], row["flow"], str(row["length"]), *(text or DASH for text in numbers)]


def _untrusted(row: dict[str, Any]) -> bool:
    if row["k_hat"] is None or row["k_hat"] > REPRODUCIBLE_K_HAT:
        return True
    judgement = Judgement(**{name: row[name] for name in JUDGED})
    return any(MISSED in contradiction for contradiction in contradictions(judgement))


DESCRIBE: dict[type[Any], Callable[[Any], Described]] = {
    EnergiesConfig: _energies,
    DlgmStudyConfig: dlgm_study.described,
    StatesStudyConfig: states_study.described,
    LandscapeConfig: landscape_study.described,
    OutOfDistributionConfig: out_of_distribution_study.described,
    TrainingStabilityConfig: stability_study.described,
}
"""How a study of each kind is described."""
