"""The table and the figure of flows fitted to energies."""

import math
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from matplotlib.figure import Figure

from pushforward.distributions import Pushforward
from pushforward.drawing.page import Table
from pushforward.drawing.panels import colour_limit, panel_height, show_density
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.surfaces import GRID_SIZE, SUBPIXELS, flow_density, plot_box, target_density
from pushforward.drawing.text import DASH, number
from pushforward.evaluation.judge import MISSED, Judgement, contradictions
from pushforward.experiments.fit.run import FitRun
from pushforward.quadrature import Grid
from pushforward.studies.energies.cells import EnergiesStudy
from pushforward.studies.page import Described
from pushforward.targets import Target

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
REPRODUCIBLE_K_HAT = 0.6
UNTRUSTED = "†"
JUDGED = "kl", "kl_std_error", "reverse_kl_grid", "forward_kl_grid", "log_z", "log_z_estimate", "log_z_std_error"
TARGET_COLUMN = ("", 0)


def described(study: EnergiesStudy) -> Described:
    """The study as a table of divergences, and drawn as the paper's figure."""
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
    return Described(
        _outcome(rows), words, [run.result for run in study.runs], table, rows, [("", "Densities", caption, figure)]
    )


def _outcome(rows: list[dict[str, Any]]) -> str:
    best: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["kl"] is not None and row["kl"] < best.get(row["target"], {"kl": math.inf})["kl"]:
            best[row["target"]] = row
    lowest = "; ".join(
        f"{target} {number(row['kl'], row['kl_std_error'])} ({row['flow']}, K = {row['length']})"
        for target, row in best.items()
    )
    untrusted = sum(map(_untrusted, rows))
    return f"Lowest KL(q‖p) of each target: {lowest or 'none'}. Not to be trusted: {untrusted} of {len(rows)} fits."


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


@dataclass(frozen=True)
class StudyFit:
    """One fitted flow of a study.

    Attributes:
        family: heading of its columns.
        length: layers K.
        flow: the fit.
        kl: KL(q || p) in nats, None where there is none.
    """

    family: str
    length: int
    flow: Pushforward
    kl: float | None


@dataclass(frozen=True)
class StudyRow:
    """A target in 2-D and the flows fitted to it."""

    target: Target
    fits: list[StudyFit]


def study_grid(rows: list[StudyRow]) -> Drawing:
    """Targets down, flow families and lengths across, as in R&M 2015, Figure 3; the lowest KL of a row is in bold.

    Every row has one colour scale, that of its target; a fit that a row lacks leaves its place empty.
    """
    columns = list(dict.fromkeys((fit.family, fit.length) for row in rows for fit in row.fits))
    families = list(dict.fromkeys(family for family, _ in columns))
    columns.sort(key=lambda column: families.index(column[0]))
    boxes = [plot_box(row.target, row.fits[0].flow) for row in rows]
    grids = [Grid(box, GRID_SIZE) for box in boxes]
    wanted = [target_density(row.target, grid) for row, grid in zip(rows, grids)]
    fitted = [
        {
            TARGET_COLUMN: density,
            **{(fit.family, fit.length): flow_density(fit.flow, grid, SUBPIXELS) for fit in row.fits},
        }
        for row, grid, density in zip(rows, grids, wanted)
    ]

    def draw(style: Style) -> Figure:
        cell, gap, group, heading, left, below = 1.2, 0.06, 0.22, 0.62, 0.35, 0.3
        starts = [left]
        for before, column in zip([TARGET_COLUMN, *columns], columns):
            starts.append(starts[-1] + cell + (gap if column[0] == before[0] else group))
        cell_heights = [panel_height(box, cell) for box in boxes]
        tops = [heading + sum(cell_heights[:index]) + index * below for index in range(len(rows))]
        width, height = starts[-1] + cell + 0.1, tops[-1] + cell_heights[-1] + below
        figure = Figure(figsize=(width, height))

        def text(x: float, y: float, content: str, **kwargs: Any) -> None:
            figure.text(x / width, 1 - y / height, content, ha="center", va="center", **kwargs)

        text(starts[0] + cell / 2, 0.45, "target", size=11)
        for (_, length), start in zip(columns, starts[1:]):
            text(start + cell / 2, 0.45, f"K = {length}", size=10, color=style.muted)
        for family in families:
            inside = [start for (name, _), start in zip(columns, starts[1:]) if name == family]
            text((inside[0] + inside[-1] + cell) / 2, 0.2, family, size=12, weight="bold")
        for index, (row, box, top, cell_height) in enumerate(zip(rows, boxes, tops, cell_heights)):
            name_size = min(11, 72 * cell_height / (0.65 * len(row.target.name)))
            text(left / 2, top + cell_height / 2, row.target.name, size=name_size, rotation=90)
            kls = {(fit.family, fit.length): fit.kl for fit in row.fits}
            lowest = min((kl for kl in kls.values() if kl is not None), default=None)
            for column, start in zip([TARGET_COLUMN, *columns], starts):
                density = fitted[index].get(column)
                if density is None:
                    continue
                axes = figure.add_axes(
                    (start / width, 1 - (top + cell_height) / height, cell / width, cell_height / height)
                )
                axes.set(xticks=[], yticks=[])
                show_density(axes, density, box, colour_limit(wanted[index]), style)
                if column != TARGET_COLUMN:
                    kl = kls[column]
                    weight = "bold" if kl is not None and kl == lowest else "normal"
                    words = f"KL {DASH}" if kl is None else f"KL {kl:.2g}" if kl < 0.095 else f"KL {kl:.2f}"
                    text(start + cell / 2, top + cell_height + 0.12, words, size=9.5, weight=weight)
        return figure

    return Drawing(draw)
