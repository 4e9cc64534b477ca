"""The table and the figure of a study."""

import json
import math
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.console import Console

from pushforward.experiments.runs import FitRun
from pushforward.experiments.studies import Study
from pushforward.reports.figures import StudyFit, StudyRow, study_grid
from pushforward.reports.style import LIGHT
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
COLUMNS = (
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
)


def write_study(study: Study) -> Path:
    """Write `table.md`, `table.json` and `figure.png` of a study into its folder, and into `--results` if given.

    Returns:
        The folder of the last.
    """
    name = study.config.study
    rows = [_row(run) for run in study.runs]
    figure = study_grid(
        [
            StudyRow(
                cells[0].target,
                [StudyFit(run.config.flow, run.config.length, run.model, run.result["kl"]) for run in cells],
            )
            for cells in ([*group] for _, group in groupby(study.runs, key=lambda run: run.config.target))
        ]
    ).png(LIGHT)
    for folder in filter(None, (study.folder, study.config.results)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.md").write_text(_markdown(study, rows))
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=1, allow_nan=False) + "\n")
        (folder / f"{name}.png").write_bytes(figure)
        Console().print(f"table and figure: {folder}/{name}.{{md,json,png}}", soft_wrap=True, markup=False)
    return folder


def _row(run: FitRun) -> dict[str, Any]:
    result, config = run.result, run.config
    return {
        "target": config.target,
        "flow": config.flow,
        "length": config.length,
        **{key: result[key] for key in REPORTED},
    }


def _markdown(study: Study, rows: list[dict[str, Any]]) -> str:
    environment = study.runs[0].result["environment"]
    hours = sum(row["seconds"] for row in rows) / 3600
    lines = [
        f"# {study.config.study}",
        "",
        "All divergences in nats; 0 is perfect. `KL(q‖p)` from 131,072 draws of the best restart, with its standard",
        "error; `log Z error`: the importance-sampling estimate less the value by quadrature, with its standard error;",
        "`restarts`: median and worst KL of all restarts.",
        "",
        f"    {study.config.command()}",
        "",
        f"{environment['device']} ({environment['processor']}), JAX {environment['jax']}, "
        f"pushforward {environment['pushforward']}; {hours:.1f} hours of training in all.",
        "",
        f"| {' | '.join(COLUMNS)} |",
        f"|{'---|' * 3}{'---:|' * (len(COLUMNS) - 3)}",
        *(f"| {' | '.join(_cells(row))} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def _cells(row: dict[str, Any]) -> list[str]:
    kls = sorted(math.inf if kl is None else kl for kl in row["restarts"])
    log_z_error = None if row["log_z_estimate"] is None else row["log_z_estimate"] - row["log_z"]
    numbers = [
        number(row["kl"], row["kl_std_error"]),
        number(row["reverse_kl_grid"]),
        number(row["forward_kl_grid"]),
        number(log_z_error, row["log_z_std_error"]),
        None if row["ess_fraction"] is None else f"{row['ess_fraction']:.1%}",
        None if row["k_hat"] is None else f"{row['k_hat']:.2f}",
        f"{number(kls[len(kls) // 2]) or DASH}, {number(kls[-1]) or DASH}",
    ]
    return [row["target"], row["flow"], str(row["length"]), *(text or DASH for text in numbers)]
