"""The table and the figure of the study of sampling targets."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pushforward.drawing.page import Drawings, Table
from pushforward.drawing.panels import panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import DASH, number
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.models import make_loss
from pushforward.objectives import Annealed
from pushforward.studies.page import Described
from pushforward.studies.sampling_targets.cells import Cell, SamplingTargetsStudy

PUBLISHED = {
    "forty-gaussians": "FAB: ESS 64%, forward ESS 0 to 4%, E_p[log q] -7.17",
    "many-well-32": "FAB: ESS 79.5%, log Z error 0.032",
    "funnel-10": "FAB: log Z error 0.002",
    "lgcp": "FAB: log Z error 0.19; log Z 497.9 (SMC), ELBO 486.8 (SCLD)",
    "seeds": "ELBO -73.45",
    "brownian": "ELBO 1.06",
    "sonar": "ELBO -108.83",
}
"""The best that we know of; where each is from, the words below say."""

COLUMNS = [
    "target",
    "how",
    "D",
    "seed",
    "ELBO",
    "log Z",
    "log Z error",
    "ESS",
    "forward ESS",
    "E_p[log q]",
    "k-hat",
    "modes",
    "evaluations",
    "seconds",
    "published",
]


def described(study: SamplingTargetsStudy) -> Described:
    """The study in words, as a table and as numbers, and drawn: ESS of each target, reverse and forward."""
    rows = [_row(cell) for cell in study.runs]
    order = list(dict.fromkeys(row["target"] for row in rows))
    rows.sort(key=lambda row: (order.index(row["target"]), row["seed"]))
    table = Table(COLUMNS, [_cells(row) for row in rows], text_columns=2)
    caption = "Effective sample size by draws of the flow (filled) and by exact draws of the target (open)."
    drawings: Drawings = [("", "Effective sample sizes", caption, _figure(rows, order))]
    return Described(_outcome(rows), WORDS, [cell.run.result for cell in study.runs], table, rows, drawings)


def _outcome(rows: list[dict[str, Any]]) -> str:
    errors = {row["target"]: abs(row["log_z_error"]) for row in rows if row["log_z_error"] is not None}
    sizes = {row["target"]: row["ess"] for row in rows if row["ess"] is not None}
    modes = [row["modes"] for row in rows if row["modes"] is not None]
    parts = []
    if errors:
        worst = max(errors, key=lambda name: errors[name])
        parts.append(f"The largest error of log Z is {number(errors[worst])} nats ({worst}), where log Z is known.")
    if sizes:
        least = min(sizes, key=lambda name: sizes[name])
        parts.append(f"ESS is {sizes[least]:.1%} ({least}) to {max(sizes.values()):.1%}.")
    if modes:
        parts.append(f"Every mode is found in {sum(found == there for found, there in modes)} of {len(modes)} fits.")
    return " ".join(parts)


WORDS = (
    "Targets that samplers are compared on. Many modes are fitted by an annealed objective (FAB's alpha = 2 "
    "divergence or forward KL), the others by the ladder at its defaults. `ELBO` in nats; `log Z`: by importance "
    "sampling, with its standard error; `ESS`: by draws of the flow; `forward ESS` and `E_p[log q]`: by exact draws "
    "of the target, which see what the flow misses; `modes`: those to which a tenth of their share of the draws is "
    "nearest, of all; of many wells the sides of each well; `evaluations`: of the density with its gradient in "
    "training, in millions; of the ladder without its start. Published values: ESS, forward ESS and E_p[log q] of FAB "
    "with its buffer are means over the three seeds in the result files of its authors' repository, fab-torch (its "
    "forty Gaussians have the standard deviation 1.31); its errors of log Z are those of the README of fab-jax, mean "
    "absolute ones of estimates by 2,000 draws. ELBOs and the log Z of the Cox process are from a transcription of "
    "arXiv 2506.10982 (diffusion samplers, 40,000 steps of 2,000 draws on GPUs) and were not seen in the papers."
)


def _row(cell: Cell) -> dict[str, Any]:
    config, result = cell.run.config, cell.run.result
    trained = isinstance(config, FitConfig)
    best = result if trained else result["best"]
    log_z = result["log_z"] if trained else cell.run.target.log_z
    estimate = result["log_z_estimate"] if trained else best["log_z"]
    return {
        "target": cell.name,
        "how": f"{config.objective}, {config.steps:,} steps" if isinstance(config, FitConfig) else best["name"],
        "dim": cell.run.target.dim,
        "seed": config.seed,
        "elbo": best["elbo"],
        "elbo_std_error": best["kl_std_error"] if trained else best["elbo_std_error"],
        "log_z": estimate,
        "log_z_std_error": best["log_z_std_error"],
        "log_z_error": None if log_z is None or estimate is None else estimate - log_z,
        "ess": best["ess_fraction"],
        "forward_ess": best.get("forward_ess"),
        "exact_log_prob": best.get("exact_log_prob"),
        "k_hat": best["k_hat"],
        "modes": cell.modes,
        "evaluations": _evaluations(cell),
        "seconds": result["seconds"],
        "published": PUBLISHED.get(cell.name),
        "command": result["command"],
    }


def _evaluations(cell: Cell) -> int:
    """Of the density with its gradient."""
    config = cell.run.config
    if not isinstance(config, FitConfig):
        return sum(rung["evaluations"] for rung in cell.run.result["ladder"])
    loss = make_loss(config, cell.run.target)
    if not isinstance(loss, Annealed):
        return config.steps * config.batch_size
    runs = loss.length + -(-config.steps // loss.every)
    return runs * loss.batch_size * (1 + loss.temperatures * loss.leapfrog_steps)


def _cells(row: dict[str, Any]) -> list[str]:
    modes = row["modes"]
    return [
        row["target"],
        row["how"],
        f"{row['dim']:,}",
        str(row["seed"]),
        number(row["elbo"], row["elbo_std_error"]) or DASH,
        number(row["log_z"], row["log_z_std_error"]) or DASH,
        number(row["log_z_error"]) or DASH,
        *(DASH if row[name] is None else f"{row[name]:.1%}" for name in ("ess", "forward_ess")),
        number(row["exact_log_prob"]) or DASH,
        DASH if row["k_hat"] is None else f"{row['k_hat']:.2f}",
        DASH if modes is None else f"{modes[0]} of {modes[1]}",
        f"{row['evaluations'] / 1e6:.1f}",
        f"{row['seconds']:.0f}",
        row["published"] or DASH,
    ]


def _figure(rows: list[dict[str, Any]], order: list[str]) -> Drawing:
    def draw(style: Style) -> Figure:
        figure, ((axes,),) = panel_grid(1, 1, 5.5, 0.28 * len(order) + 0.4, left=1.7, bottom=0.6, top=0.3)
        for place, name in enumerate(order):
            for row in (row for row in rows if row["target"] == name):
                if row["ess"] is not None:
                    axes.plot(row["ess"], place, "o", color=style.flow, markersize=6)
                if row["forward_ess"] is not None:
                    axes.plot(row["forward_ess"], place, "o", mfc="none", mec=style.target, markersize=9)
        axes.set_yticks(np.arange(len(order)), order, fontsize=8)
        axes.set(xlim=(-0.02, 1.02), ylim=(len(order) - 0.5, -0.5))
        axes.set_xlabel("ESS, fraction of the draws", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
        return figure

    return Drawing(draw)
