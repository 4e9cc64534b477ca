"""The report of one fit of a flow to a target."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np

from pushforward.distributions import Pushforward
from pushforward.reports import figures
from pushforward.reports.animation import density_animation
from pushforward.reports.html import DASH, Picture, Table, number, render
from pushforward.reports.style import DARK, LIGHT, Drawing
from pushforward.targets import Target

BAD_K_HAT = 0.7

Result = Mapping[str, Any]


@runtime_checkable
class FitRun(Protocol):
    """A finished fit.

    Attributes:
        folder: where the run is; the report is written into it.
        config: a dataclass.
        result: `kl`, `kl_std_error`, `free_energy`, `free_energy_std_error`, `reverse_kl_grid`, `forward_kl_grid`,
            `log_z`, `log_z_estimate`, `log_z_std_error`, `ess_fraction`, `k_hat`, `k_hat_verdict`, `seconds`,
            `steps_per_second`, `restarts` (the KL of each), `best_restart`, `divergences` (of each: None, or `step`
            and `leaf`), `environment`, `command`; numbers in nats, None where there is none.
        metrics: records of training, each `step`, `loss` (one a restart, None once it has diverged) and `seconds`.
        target: what was fitted.
        flow: the best restart.
        snapshots: the best restart at several steps, ascending.
    """

    folder: Path
    config: Any
    result: Result
    metrics: Sequence[Mapping[str, Any]]
    target: Target
    flow: Pushforward
    snapshots: Sequence[tuple[int, Pushforward]]


def write_report(run: FitRun) -> Path:
    """Write `figures/*.png`, `figures/training.gif` and `report.html` into the folder of the run.

    Returns:
        The path of `report.html`.
    """
    folder = run.folder / "figures"
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    for name, heading, caption, drawing in _drawings(run):
        light = drawing.png(LIGHT)
        (folder / f"{name}.png").write_bytes(light)
        pictures.append(Picture(heading, caption, light, drawing.png(DARK)))
    if run.target.dim == 2 and run.snapshots:
        path = folder / "training.gif"
        density_animation(run.target, list(run.snapshots), path)
        caption = "The fitted density of the best restart while it was trained, on the colour scale of the densities."
        pictures.append(Picture("Training", caption, path.read_bytes(), pixel_ratio=1))
    report = run.folder / "report.html"
    report.write_text(
        render(
            f"A flow fitted to {run.target.name}",
            verdict=_verdict(run.target, run.result),
            results=_results(run.result),
            warnings=_warnings(run.result),
            pictures=pictures,
            restarts=_restarts(run.result),
            configuration=Table([], [[key, value] for key, value in _flattened(asdict(run.config))]),
            command=run.result["command"],
            environment=_environment(run.result),
        ),
        encoding="utf-8",
    )
    return report


def _drawings(run: FitRun) -> list[tuple[str, str, str, Drawing]]:
    key_samples, key_layers = jax.random.split(jax.random.key(0))
    target, flow = run.target, run.flow
    losses = np.array([record["loss"] for record in run.metrics], float)
    steps = np.array([record["step"] for record in run.metrics], int)
    drawings = [
        (
            "densities",
            "Target and fit",
            "Both densities on one colour scale, which ends where 2% of the target's mass is denser.",
            figures.densities(target, flow),
        ),
        ("samples", "Samples", _samples_caption(target), figures.samples(target, flow, key_samples)),
        (
            "loss",
            "Free energy",
            "Mean over the steps between two records, for every restart"
            + ("" if target.log_z is None else "; −log Z is its lower bound, reached by a perfect fit")
            + ". Very large first values may lie outside the axis.",
            figures.loss_curve(steps, losses, run.result["best_restart"], target.log_z) if len(steps) else None,
        ),
        (
            "layers",
            "Layer by layer",
            "Samples of the base and where the layers move them. A point keeps the colour of its place in the base.",
            figures.layers(flow, key_layers),
        ),
    ]
    return [(name, heading, caption, drawing) for name, heading, caption, drawing in drawings if drawing is not None]


def _samples_caption(target: Target) -> str:
    if target.dim == 1:
        return "A histogram of samples of the flow, and the density of the target."
    if target.dim == 2:
        return "Samples of the flow. The lines enclose the regions that hold 50%, 90% and 99% of the target."
    which = "The first four dimensions in pairs" if target.dim > figures.MOST_PAIRED else "The dimensions in pairs"
    if target.sample is None:
        return f"{which}: samples of the flow."
    return f"{which}: samples of the flow below the diagonal (blue), exact samples of the target above it (orange)."


def _verdict(target: Target, result: Result) -> list[str]:
    sentences = []
    kl = result["kl"]
    shown = number(kl, result["kl_std_error"])
    if shown is None:
        sentences.append(f"How far the flow is from {target.name} in nats cannot be said: {_reason('kl', result)}.")
    else:
        closeness = next((words for limit, words in CLOSENESS if kl < limit), "far from")
        sentences.append(f"The flow is {closeness} {target.name}: KL(q‖p) is {shown} nats, where 0 is perfect.")
    k_hat, ess = number(result["k_hat"]), number(_percent(result["ess_fraction"]))
    if k_hat is not None and ess is not None:
        sentences.append(
            f"As a proposal for importance sampling: {result['k_hat_verdict']} (k̂ = {k_hat}), "
            f"with an effective sample size of {ess}% of the draws."
        )
    return sentences


CLOSENESS = [(0.01, "all but equal to"), (0.1, "close to"), (0.5, "a rough fit to")]


def _results(result: Result) -> Table:
    rows = [
        _row(result, "KL(q‖p) from samples", "kl", "nats", "what the fit q falls short of the target p; 0 is perfect"),
        _row(result, "KL(q‖p) by quadrature", "reverse_kl_grid", "nats", "the same without sampling noise"),
        _row(
            result, "KL(p‖q) by quadrature", "forward_kl_grid", "nats", "large where the flow misses mass of the target"
        ),
        _row(result, "Free energy", "free_energy", "nats", "what training minimised: KL(q‖p) − log Z"),
        _row(result, "log Z, known", "log_z", "nats", "the normaliser of the target"),
        _row(result, "log Z, estimated", "log_z_estimate", "nats", "by importance sampling from the flow"),
        _row(result, "Effective sample size", "ess_fraction", "%", "of the draws, when they are weighted by p/q"),
        _row(result, "Pareto k̂", "k_hat", "", f"tail of the weights: {result['k_hat_verdict']}"),
    ]
    return Table(["measure", "value", "what it means"], rows)


def _row(result: Result, name: str, key: str, unit: str, meaning: str) -> list[str]:
    value = _percent(result[key]) if unit == "%" else result[key]
    shown = number(value, result.get(STD_ERRORS.get(key, "")))
    return [name, DASH, _reason(key, result)] if shown is None else [name, f"{shown} {unit}".strip(), meaning]


STD_ERRORS = {"kl": "kl_std_error", "free_energy": "free_energy_std_error", "log_z_estimate": "log_z_std_error"}


def _reason(key: str, result: Result) -> str:
    if result[key] is not None:
        return f"it came out as {result[key]}, which is no finite number"
    if key in ("kl", "reverse_kl_grid", "forward_kl_grid") and result["log_z"] is None:
        return "log Z of the target is not known"
    return {
        "reverse_kl_grid": "needs a target in 2 dimensions with a box",
        "forward_kl_grid": "needs a target in 2 dimensions with a box",
        "log_z": "not known for this target",
    }.get(key, "not measured")


def _warnings(result: Result) -> list[str]:
    warnings = []
    diverged = [(index, where) for index, where in enumerate(result["divergences"]) if where is not None]
    if diverged:
        places = ", ".join(f"restart {index} at step {where['step']:,} in {where['leaf']}" for index, where in diverged)
        warnings.append(f"{len(diverged)} of {len(result['divergences'])} restarts diverged: {places}.")
    k_hat = result["k_hat"]
    if k_hat is not None and not k_hat <= BAD_K_HAT:
        shown = number(k_hat)
        warnings.append(
            f"Pareto k̂ is {'not finite' if shown is None else shown}, above {BAD_K_HAT}: the estimate of log Z, the "
            "effective sample size and their errors are not to be trusted."
        )
    kl, std_error = result["kl"], result["kl_std_error"]
    if kl is not None and std_error is not None and kl < -4 * std_error:
        warnings.append("KL(q‖p) is negative beyond its error: the log Z given for the target is wrong.")
    reverse, forward = result["reverse_kl_grid"], result["forward_kl_grid"]
    if reverse is not None and forward is not None and forward > max(3 * reverse, 0.5):
        warnings.append(
            "KL(p‖q) is far above KL(q‖p): the flow misses a part of the target, where it draws no samples."
        )
    return warnings


def _restarts(result: Result) -> Table:
    best = result["best_restart"]
    rows = []
    for index, (kl, divergence) in enumerate(zip(result["restarts"], result["divergences"])):
        shown = number(kl)
        if divergence is not None:
            note = f"diverged at step {divergence['step']:,}, first not finite in {divergence['leaf']}"
        elif shown is None:
            note = "log Z of the target is not known" if result["log_z"] is None else "not measured"
        else:
            note = ""
        note = "; ".join(filter(None, ["best, shown above" if index == best else "", note]))
        rows.append([str(index), DASH if shown is None else shown, note])
    return Table(["restart", "KL(q‖p) / nats", ""], rows, emphasised=best)


def _environment(result: Result) -> Table:
    rows = [[key, value] for key, value in result["environment"].items()]
    seconds, rate = number(result["seconds"]), number(result["steps_per_second"])
    rows.append(["training time", f"{DASH} not measured" if seconds is None else f"{seconds} s"])
    rows.append(["steps per second, all restarts", f"{DASH} no step was left to do" if rate is None else rate])
    return Table([], rows)


def _percent(fraction: float | None) -> float | None:
    return None if fraction is None else 100 * fraction


def _flattened(config: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows = []
    for key, value in config.items():
        if isinstance(value, Mapping):
            rows.extend(_flattened(value, f"{prefix}{key}."))
        else:
            rows.append((f"{prefix}{key}", DASH if value is None else str(value)))
    return rows
