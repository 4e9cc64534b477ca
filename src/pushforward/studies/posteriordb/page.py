"""The table and the figure of the study of posteriordb."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pushforward.drawing.page import Drawings, Table
from pushforward.drawing.panels import panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import DASH, number
from pushforward.evaluation.psis import K_HAT_LIMIT
from pushforward.inference.ladder import GOOD_ESS
from pushforward.posteriors import POSTERIORDB
from pushforward.studies.page import Described
from pushforward.studies.posteriordb.cells import LOG_Z_BY, NUTS, OURS, PosteriordbStudy, Result

MEAN_WITHIN, SD_WITHIN = 0.05, 0.05
STAGES = ("unweighted", "weighted", "refined")
SHOWN_ERRORS = 1e-3, 1e3
COLOURS = [f"C{index}" for index in range(10)]


def described(study: PosteriordbStudy) -> Described:
    """The study in words, as a table and as numbers, and drawn: how many posteriors are within which error."""
    rows = sorted(
        (_row(name, cells) for name, cells in _by_posterior(study).items()), key=lambda row: row["regression"]
    )
    peers = [method for method in study.config.methods if method not in (OURS, NUTS)]
    columns = [
        "posterior",
        "kind",
        "rung",
        "D",
        "ESS",
        "k-hat",
        "log Z error",
        *(f"mean, {stage}" for stage in STAGES),
        *(f"sd, {stage}" for stage in STAGES),
        "R-hat",
        "seconds",
        "of chains",
        "NUTS, mean",
        "NUTS, seconds",
        *peers,
    ]
    table = Table(columns, [_cells(row, peers) for row in rows], text_columns=3)
    caption = (
        "Share of the posteriors whose worst mean is within an error, in standard deviations of the reference; means "
        "of draws as they are (dashed) and weighted (solid). Left what is no linear regression, right what is one."
    )
    drawings: Drawings = [("", "Errors of the worst mean", caption, _figure(rows, [OURS, *peers, NUTS]))]
    return Described(_outcome(rows), _words(rows), study.runs, table, rows, drawings)


def _by_posterior(study: PosteriordbStudy) -> dict[str, list[Result]]:
    found: dict[str, list[Result]] = {}
    for cell in study.runs:
        found.setdefault(cell["posterior"], []).append(cell)
    return found


def _row(name: str, cells: list[Result]) -> dict[str, Any]:
    """The numbers about a posterior; of ours the worst seed."""
    ours = [cell for cell in cells if cell["method"] == OURS and "failed" not in cell]
    others = {cell["method"]: cell for cell in cells if cell["method"] != OURS}
    return {
        "posterior": name,
        "regression": POSTERIORDB[name].model.startswith("regressions"),
        "seeds": len(ours),
        "rung": ours[0]["rung"] if ours else None,
        "dim": ours[0]["dim"] if ours else None,
        "ess": min((cell["ess_fraction"] for cell in ours), default=None),
        "k_hat": max((cell["k_hat"] for cell in ours if cell["k_hat"] is not None), default=None),
        "failed": sum(cell["method"] == OURS and "failed" in cell for cell in cells),
        "usable": [cell["usable"] for cell in ours],
        "log_z": [(cell["log_z"], cell["log_z_std_error"]) for cell in ours],
        "log_z_error": _worst(cell["log_z"] - cell["known_log_z"] for cell in ours if cell["known_log_z"] is not None),
        "means": {stage: _worst(_mean(cell, stage) for cell in ours) for stage in STAGES},
        "sds": {stage: _worst(_sd(cell, stage) for cell in ours) for stage in STAGES},
        "wasserstein": {
            stage: _worst(number["wasserstein"] for cell in ours for number in cell.get(stage, [])) for stage in STAGES
        },
        "r_hat": max((cell["r_hat"] for cell in ours), default=None),
        "agreed": [cell["agreed"] for cell in ours],
        "seconds": float(np.median([cell["seconds_to_verdict"] for cell in ours])) if ours else None,
        "seconds_of_chains": float(np.median([cell["seconds_of_chains"] for cell in ours])) if ours else None,
        "evaluations": float(np.median([cell["evaluations"] for cell in ours])) if ours else None,
        "others": {
            method: {
                "failed": cell.get("failed"),
                "mean": _mean(cell, "unweighted"),
                "weighted": _mean(cell, "weighted"),
                "sd": _sd(cell, "unweighted"),
                "seconds": cell.get("seconds_to_verdict"),
                "k_hat": cell.get("k_hat"),
                "r_hat": cell.get("r_hat"),
            }
            for method, cell in others.items()
        },
    }


def _mean(cell: Result, stage: str) -> float | None:
    return _worst(each["mean"] for each in cell.get(stage, []))


def _sd(cell: Result, stage: str) -> float | None:
    return _worst(each["sd"] - 1 for each in cell.get(stage, []))


def _worst(values: Iterable[float | None]) -> float | None:
    """The largest size; None of nothing."""
    return max((abs(value) for value in values if value is not None), default=None)


def _outcome(rows: list[dict[str, Any]]) -> str:
    within = {stage: sum(_within(row, stage) for row in rows) for stage in STAGES}
    usable, agreed = (
        sum(not row["failed"] and all(row[name]) and bool(row[name]) for row in rows) for name in ("usable", "agreed")
    )
    return (
        f"Of {len(rows)} posteriors every mean is within {MEAN_WITHIN} and every sd within {SD_WITHIN:.0%} in "
        f"{within['unweighted']} unweighted, {within['weighted']} weighted, {within['refined']} after chains; k-hat is "
        f"at most {K_HAT_LIMIT} or the ESS over {GOOD_ESS} in {usable}; chains agree in {agreed}."
    )


def _words(rows: list[dict[str, Any]]) -> str:
    known = [row["log_z_error"] for row in rows if row["log_z_error"] is not None]
    timed = [row for row in rows if row["seconds"] is not None]
    seconds = f"{np.median([row['seconds'] for row in timed]):.0f} s" if timed else "unknown"
    log_z = f": largest error {number(max(known))} nats, by {LOG_Z_BY:,} draws" if known else ""
    return (
        f"{len(rows)} posteriors of posteriordb, our models in NumPyro, `fit` at its defaults, then chains behind the "
        "flow, against the reference draws (10 chains of 1,000). Errors are of the worst number of a posterior and the "
        "worst seed: `mean` in standard deviations of the reference, whose own error is about 0.01, `sd` relative; K_m "
        f"of one_comp_mm_elim_abs is judged on its log. log Z of {len(known)} regressions is known in closed "
        f"form{log_z}. Median time to the verdict {seconds}, compilation included. `NUTS`: NumPyro's, 4 "
        "chains, at the default settings. Guides are NumPyro's, trained by its SVI with 16 draws a step, Adam at 0.01 "
        "and a cosine; Pathfinder is BlackJAX's, of 8 paths: their columns are the worst mean, unweighted / PSIS. "
        "Neither is given columns of unit scale: where parameters of a regression are of very different sizes, Adam at "
        "one rate does not get there, which the ladder's start from the curvature spares."
    )


def _within(row: dict[str, Any], stage: str) -> bool:
    mean, sd = row["means"][stage], row["sds"][stage]
    return not row["failed"] and mean is not None and mean <= MEAN_WITHIN and sd is not None and sd <= SD_WITHIN


def _cells(row: dict[str, Any], peers: list[str]) -> list[str]:
    nuts = row["others"].get(NUTS, {})
    return [
        row["posterior"],
        "linear regression" if row["regression"] else POSTERIORDB[row["posterior"]].summary.partition(", D =")[0],
        row["rung"] or DASH,
        str(row["dim"] or DASH),
        DASH if row["ess"] is None else f"{row['ess']:.1%}",
        _digits(row["k_hat"], 2),
        _digits(row["log_z_error"], 4),
        *(_digits(row["means"][stage], 3) for stage in STAGES),
        *(_percent(row["sds"][stage]) for stage in STAGES),
        _digits(row["r_hat"], 4),
        _digits(row["seconds"], 0),
        _digits(row["seconds_of_chains"], 0),
        _digits(nuts.get("mean"), 3),
        _digits(nuts.get("seconds"), 0),
        *(_pair(row["others"].get(method, {})) for method in peers),
    ]


def _digits(value: float | None, digits: int) -> str:
    if value is None or not math.isfinite(value):
        return DASH
    return f"{value:.{digits}f}" if abs(value) < 1e3 else f"{value:.1e}"


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{value:.1%}" if value < 10 else f"{value:.0e}"


def _pair(other: dict[str, Any]) -> str:
    if other.get("failed"):
        return "failed"
    return f"{_digits(other.get('mean'), 2)} / {_digits(other.get('weighted'), 2)}"


def _figure(rows: list[dict[str, Any]], methods: list[str]) -> Drawing:
    groups = {"no linear regression": False, "linear regression": True}

    def draw(style: Style) -> Figure:
        figure, ((*panels,),) = panel_grid(1, 2, 3.4, 2.6, top=0.9, bottom=0.6, column_gap=0.4)
        for axes, (title, regression) in zip(panels, groups.items()):
            chosen = [row for row in rows if row["regression"] == regression]
            for index, method in enumerate(methods):
                colour = COLOURS[index % len(COLOURS)] if index else style.flow
                for stage, line in (("mean", "--"), ("weighted", "-")):
                    run = [row for row in chosen if method == OURS or method in row["others"]]
                    errors = [_error(row, method, stage) for row in run]
                    ordered = np.sort([SHOWN_ERRORS[1] if error is None else error for error in errors])
                    if not len(ordered) or not any(error is not None for error in errors):
                        continue
                    label = method if stage == "weighted" or method == NUTS else None
                    shares = np.arange(1, len(ordered) + 1) / len(ordered)
                    axes.step(np.clip(ordered, *SHOWN_ERRORS), shares, line, color=colour, label=label, linewidth=1.2)
            axes.set(xscale="log", xlim=SHOWN_ERRORS, ylim=(0, 1.02))
            axes.set_title(title, fontsize=9)
            axes.set_xlabel("error of the worst mean / sd", fontsize=9)
            axes.tick_params(labelsize=7)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("share of posteriors", fontsize=9)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper left", ncols=4, fontsize=7, bbox_to_anchor=(0.02, 1.0))
        return figure

    return Drawing(draw)


def _error(row: dict[str, Any], method: str, stage: str) -> float | None:
    if method == OURS:
        return row["means"]["unweighted" if stage == "mean" else "weighted"]
    return row["others"].get(method, {}).get(stage)
