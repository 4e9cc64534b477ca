"""The table and the figures of a study of training stability."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pushforward import stability
from pushforward.drawing.page import Drawings, Table
from pushforward.drawing.panels import joining, panel_grid
from pushforward.drawing.style import Drawing, Style
from pushforward.drawing.text import DASH, bound, number, with_interval
from pushforward.evaluation.means import finite_or_none, mean_interval
from pushforward.studies.page import Described
from pushforward.studies.training_stability.cells import Result, TrainingStabilityStudy
from pushforward.studies.training_stability.toy import toy

Row = dict[str, Any]

COLUMNS = [
    "flow",
    "changed",
    "diverged",
    "KL(p‖q), median (quartiles)",
    "KL(p‖q), mean",
    "less NICE's",
    "less Real VP's",
    "last step less best",
    "best step",
    "largest gradient",
    "clipped",
    "top eigenvalue",
    "weight change, scales over rest",
]
REFERENCES = ("nice", "real-vp")
FACTORS = {
    "learning_rate": "learning rate",
    "gradient_clip": "gradient clip",
    "batch_size": "batch",
    "points": "training points",
    "scale": "scale at the start",
    "diagonal": "standardisation",
}
SPREADS = ("kl", "rise", "largest_gradient", "eigenvalue", "weight_ratio", "best_step", "clipped")
LABELS = {
    "kl": "KL(p‖q) / nats",
    "less_nice": "KL less NICE's\n/ nats",
    "rise": "last step less\nbest / nats",
    "largest_gradient": "largest gradient\nnorm",
    "eigenvalue": "top eigenvalue",
    "weight_ratio": "weight change,\nscales over rest",
}
LOGARITHMIC = tuple(name for name in LABELS if name != "less_nice")
MARKERS = "os^Dvx"
TURNED: dict[str, Any] = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
LEAST = 1e-4


def described(study: TrainingStabilityStudy) -> Described:
    """The study in words, as rows of numbers, and drawn: spreads over the seeds against each factor, and the toy."""
    gaps = {_key(result): _gaps(result) for result in study.runs}
    rows = [_row(result, gaps) for result in study.runs]
    drawings: Drawings = [
        (
            "",
            "Divergence from the data",
            "KL(p‖q): median and quartiles over the seeds, and that of the Normal with the mean and covariance of the "
            "data; below, its mean less that of NICE with the 95% interval. The baseline is shaded; how many seeds "
            "diverged stands above.",
            _figure(rows, ("kl", "less_nice")),
        ),
        (
            "-traces",
            "Traces of instability",
            "Median and quartiles over the seeds: the validation loss of the last step less that of the best, "
            f"{LEAST:g} where it is less; the largest norm of a gradient before clipping; the largest eigenvalue of "
            "the Hessian at the best step; the mean change of a weight in a step, that of the scale parameters over "
            "that of the rest.",
            _figure(rows, ("rise", "largest_gradient", "eigenvalue", "weight_ratio")),
        ),
        (
            "-toy",
            "The scale term alone",
            "A map that scales one dimension, at the distance e from its optimum. Dots: by automatic differentiation. "
            "Below, e over the steps of gradient descent from the steep and from the flat side, and of Adam with and "
            "without clipping. Above a rate of 1 the optimum itself is unstable.",
            toy(),
        ),
    ]
    table = Table(COLUMNS, [_cells(row) for row in rows], text_columns=2)
    return Described(_outcome(rows), _words(study), study.runs, table, rows, drawings)


def _outcome(rows: Sequence[Row]) -> str:
    flows = dict.fromkeys(row["flow"] for row in rows)
    lost = {flow: [row for row in rows if row["flow"] == flow] for flow in flows}
    counts = ", ".join(
        f"{flow} {sum(row['diverged'] for row in own)} of {sum(row['seeds'] for row in own)}"
        for flow, own in lost.items()
    )
    baseline = {row["flow"]: row["kl"]["median"] for row in rows if row["factor"] is None and row["kl"]}
    if not baseline:
        return f"Trainings that diverged: {counts}."
    best = min(baseline, key=lambda flow: baseline[flow])
    return (
        f"Lowest median KL(p‖q) at the baseline: {number(baseline[best])}, {best}. Trainings that diverged: {counts}."
    )


def _key(result: Result) -> tuple[Any, ...]:
    """Which setting it is, whatever the flow."""
    return result["flow"], result["factor"], result["values"].get(result["factor"])


def _gaps(result: Result) -> Float[np.ndarray, "seeds rows"]:
    """`log p - log q` at the test rows, NaN for seeds that diverged."""
    size = max((len(row) for row in result["gaps"] if row is not None), default=2)
    return np.array([[np.nan] * size if row is None else row for row in result["gaps"]])


def _row(result: Result, gaps: dict[tuple[Any, ...], Float[np.ndarray, "seeds rows"]]) -> Row:
    """Spreads over the seeds, and means of KL and of its differences from flows with the same seeds and test rows."""
    members, (flow, factor, value) = result["members"], _key(result)
    own = gaps[flow, factor, value]
    row: Row = {
        "flow": flow,
        "factor": factor,
        "values": result["values"],
        "seeds": len(members),
        "diverged": sum(member["diverged"] for member in members),
        **{name: _spread([_measure(member, name) for member in members]) for name in SPREADS},
        "kl_mean": _mean(own),
        **{name: result["truth"][name] for name in ("bound", "bound_low", "bound_high", "gaussian_kl")},
        "members": members,
        "seconds": result["seconds"],
    }
    for reference in REFERENCES:
        # The scale at the start makes no difference to a flow that was not trained with another one.
        other = gaps.get((reference, factor, value), gaps.get((reference, None, None)) if factor == "scale" else None)
        known = flow != reference and other is not None and other.shape == own.shape
        row[f"less_{reference}"] = _mean(own - other) if known else None
    return row


def _measure(member: Row, name: str) -> float | None:
    """A number of one seed; None if it diverged."""
    if member["diverged"]:
        return None
    if name == "rise":
        last, best = member["last_loss"], member["best_loss"]
        return None if last is None or best is None else float(last - best)
    if name == "weight_ratio":
        change = member["weight_change"]
        return float(change["scale"] / change["rest"]) if change["scale"] and change["rest"] else None
    return member[name]


def _spread(values: Sequence[float | None]) -> Row | None:
    """Quartiles over the seeds that did not diverge; None if all did."""
    spread = asdict(stability.seed_spread(np.array(values, float)))
    return {name: value for name, value in spread.items() if name != "diverged"} if spread["diverged"] < 1 else None


def _mean(gaps: Float[np.ndarray, "seeds rows"]) -> Row | None:
    """The mean over seeds and rows with its 95% interval."""
    interval = mean_interval(gaps)
    sound = gaps[np.isfinite(gaps).all(axis=1)]
    return None if interval is None else {"value": finite_or_none(sound.mean()), "interval": interval}


def _words(study: TrainingStabilityStudy) -> str:
    config, first, truth = study.config, study.runs[0]["settings"], study.runs[0]["truth"]
    return (
        f"{config.manifold} in D = {config.dim} with Normal noise of variance {config.variance:g}; {first['length']} "
        f"layers (a residual flow: a fifth) with networks of {first['depth']} x {first['width']} units at most, "
        f"{first['steps']:,} steps, {first['seeds']} seeds. Baseline: Adam at {first['learning_rate']:g} falling along "
        f"a cosine, clipping at {first['gradient_clip']:g}, batches of {first['batch_size']} with fresh noise, "
        f"{first['points']:,} training points, log scales within ±{first['scale']:g} at the start, diagonal "
        f"{first['diagonal']}; `changed` is what differs from it. In nats, on 65,536 test rows, of the step that the "
        "validation set chose. `KL(p‖q), mean` and its differences from flows trained with the same seeds: with 95% "
        "intervals over seeds and test rows, each at its own level. Medians over the seeds: `last step less best`, of "
        "the validation loss; `largest gradient`, its norm before clipping; `clipped`, the share of the steps; "
        "`top eigenvalue` of the Hessian on 500 test rows; `weight change`, mean change of the scale parameters in a "
        "step over that of the rest. A seed has diverged if its loss or gradient was not finite. The Normal with the "
        f"mean and covariance of the data has a KL(p‖q) of {number(truth['gaussian_kl'])}; the bound of "
        f"what a map of constant determinant loses is {bound(truth['bound'], truth['bound_low'], truth['bound_high'])}."
    )


def _cells(row: Row) -> list[str]:
    factor, kl = row["factor"], row["kl"]
    return [
        row["flow"],
        "baseline" if factor is None else f"{FACTORS[factor]} {_tick(factor, row['values'][factor])}",
        f"{row['diverged']} of {row['seeds']}",
        f"{number(kl['median'])} ({number(kl['lower'])}, {number(kl['upper'])})" if kl else DASH,
        *(
            with_interval(mean["value"], mean["interval"]) or DASH if (mean := row[name]) else DASH
            for name in ("kl_mean", *(f"less_{reference}" for reference in REFERENCES))
        ),
        _median(row["rise"]),
        f"{row['best_step']['median']:,.0f}" if row["best_step"] else DASH,
        _median(row["largest_gradient"]),
        f"{row['clipped']['median']:.0%}" if row["clipped"] else DASH,
        _median(row["eigenvalue"]),
        _median(row["weight_ratio"]),
    ]


def _median(spread: Row | None) -> str:
    return (number(spread["median"]) or DASH) if spread else DASH


def _tick(factor: str, value: float | str) -> str:
    if isinstance(value, str):
        return value
    return "none" if factor == "gradient_clip" and value == 0 else f"{value:g}"


def _figure(rows: list[Row], measures: Sequence[str]) -> Drawing | None:
    """A panel for each measure and factor, with a line for each flow; None where nothing was changed."""
    varied = [factor for factor in FACTORS if any(row["factor"] == factor for row in rows)]
    if not varied:
        return None
    flows = list(dict.fromkeys(row["flow"] for row in rows))

    def draw(style: Style) -> Figure:
        figure, grid = panel_grid(
            len(measures),
            len(varied),
            *(1.55, 1.25),
            left=0.95,
            right=0.6,
            top=0.85,
            bottom=0.85,
            row_gap=0.15,
            column_gap=0.15,
        )
        for measure, across in zip(measures, grid):
            for factor, axes in zip(varied, across):
                changed = {row["flow"] for row in rows if row["factor"] == factor}
                here = [row for row in rows if row["flow"] in changed and row["factor"] in (None, factor)]
                ticks = list(dict.fromkeys(row["values"][factor] for row in here))
                ticks = ticks if isinstance(ticks[0], str) else sorted(ticks)
                axes.axvspan(
                    *(ticks.index(here[0]["values"][factor]) + half for half in (-0.5, 0.5)), color=style.panel
                )
                for index, flow in enumerate(flows):
                    line = [row for row in here if row["flow"] == flow]
                    _line(axes, line, factor, measure, ticks, (index - (len(flows) - 1) / 2) / 7, index)
                axes.set_xticks(range(len(ticks)), [_tick(factor, tick) for tick in ticks], **TURNED)
                axes.set(xlim=(-0.5, len(ticks) - 0.5))
                axes.tick_params(labelsize=7, labelbottom=axes in grid[-1])
                axes.spines[["top", "right"]].set_visible(False)
                if measure == "kl":
                    axes.axhline(rows[0]["gaussian_kl"], color=style.muted, linestyle=":", linewidth=1, label="Normal")
                if axes in grid[0]:
                    axes.set_title(FACTORS[factor], fontsize=9, pad=14)
                    _diverged(axes, here, factor, ticks, style)
            _scale(across, measure, style)
            if varied[-1] == "diagonal":  # without standardisation losses are of another size
                across[-1].yaxis.tick_right()
                _one_range(across[:-1])
            else:
                _one_range(across)
            across[0].set_ylabel(LABELS[measure], fontsize=8)
        handles, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="upper left", ncols=len(labels), bbox_to_anchor=(0.02, 1), fontsize=9)
        return figure

    return Drawing(draw)


def _line(axes: Axes, line: list[Row], factor: str, measure: str, ticks: list[Any], shift: float, index: int) -> None:
    """A flow against a factor: medians with quartiles, or means with intervals; a legend has every flow."""
    known = sorted((row for row in line if row[measure]), key=lambda row: ticks.index(row["values"][factor]))
    ends = np.array([_ends(row[measure]) for row in known]).reshape(-1, 3)
    if measure in LOGARITHMIC:
        ends = np.maximum(ends, LEAST)
    places = [ticks.index(row["values"][factor]) + shift for row in known]
    colours = matplotlib.colormaps["tab10"].colors  # type: ignore[attr-defined]
    axes.errorbar(
        places,
        ends[:, 1],
        [ends[:, 1] - ends[:, 0], ends[:, 2] - ends[:, 1]],
        color=colours[index],
        marker=MARKERS[index],
        markersize=3.5,
        linewidth=1,
        linestyle=joining(ticks),
        label=line[0]["flow"] if line else None,
    )


def _ends(measured: Row) -> tuple[float, float, float]:
    """What is lower, in the middle and upper."""
    if "interval" in measured:
        low, high = measured["interval"]
        return low, measured["value"], high
    return measured["lower"], measured["median"], measured["upper"]


def _diverged(axes: Axes, here: list[Row], factor: str, ticks: list[Any], style: Style) -> None:
    """Above each value, of how many seeds of all flows training diverged."""
    for place, tick in enumerate(ticks):
        count, of = (sum(row[name] for row in here if row["values"][factor] == tick) for name in ("diverged", "seeds"))
        if count:
            words = f"{count} of {of}"
            axes.text(
                place, 1.02, words, transform=axes.get_xaxis_transform(), size=7, color=style.warning, ha="center"
            )


def _scale(across: np.ndarray, measure: str, style: Style) -> None:
    """Logarithmic, on both sides of 0 for a difference."""
    for axes in across:
        if measure in LOGARITHMIC:
            axes.set_yscale("log")
        else:
            axes.set_yscale("symlog", linthresh=0.01)
            axes.axhline(0, color=style.muted, linewidth=0.8)
        axes.margins(y=0.08)
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", which="both", labelsize=7)


def _one_range(across: np.ndarray) -> None:
    """The panels of a measure end where the widest of them does."""
    limits = np.array([axes.get_ylim() for axes in across]).reshape(-1, 2)
    for axes in across:
        axes.set_ylim(limits[:, 0].min(), limits[:, 1].max())
        axes.tick_params(axis="y", which="both", labelleft=axes is across[0])
