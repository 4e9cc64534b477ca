"""The words and tables of the report of a fit."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.reports.html import Table
from pushforward.reports.text import DASH, MINUS, number
from pushforward.targets import Target

Result = Mapping[str, Any]
Metrics = Sequence[Mapping[str, Any]]

CLOSENESS = ((0.01, "all but equal to"), (0.1, "close to"), (0.5, "roughly like"))
STD_ERRORS = {
    "kl": "kl_std_error",
    "kl_estimate": "kl_std_error",
    "free_energy": "kl_std_error",
    "log_z_estimate": "log_z_std_error",
    "forward_kl": "forward_kl_std_error",
}


def verdict(target: Target, result: Result) -> list[str]:
    """What the fit is worth, in sentences."""
    kl, energy = number(result["kl"], result["kl_std_error"]), number(result["free_energy"], result["kl_std_error"])
    if kl is not None:
        words = next((words for limit, words in CLOSENESS if result["kl"] < limit), "far from")
        first = f"The flow is {words} {target.name}: KL(q‖p) is {kl} nats, where 0 is perfect."
    elif energy is not None:
        estimate = number(result["kl_estimate"])
        at_least = f": at least {estimate} nats by the flow's own draws" if estimate is not None else ""
        first = (
            f"The free energy is {energy} nats, the ELBO its negative: KL(q‖p) less log Z of {target.name}, which is "
            f"not known. Fits are compared by it. How far this one is from {target.name} its own draws cannot "
            f"tell{at_least}."
        )
    else:
        first = f"How far the flow is from {target.name} could not be measured."
    return [first, _weights(result)]


def results(target: Target, result: Result) -> Table:
    """Every number, with its standard error, and what it means or why it is missing."""
    unmeasured = "its sum over the draws is not finite"
    unknown = "log Z of the target is not known"
    at_least_missing = "log Z is known" if result["log_z"] is not None else "the importance weights cannot be trusted"
    no_grid = "the grid does not hold all of the mass" if target.dim == 2 else "quadrature is for 2 dimensions"
    energy = (
        "free energy",
        "free_energy",
        f"what training minimised: KL(q‖p) {MINUS} log Z, the negative ELBO",
        unmeasured,
    )
    divergence = (
        "KL(q‖p)",
        "kl",
        "nats by which the flow q falls short of the target p; 0 is perfect",
        unknown if result["log_z"] is None else unmeasured,
    )
    rows = (
        *((energy, divergence) if result["log_z"] is None else (divergence, energy)),
        (
            "KL(q‖p), at least",
            "kl_estimate",
            "with the estimate of log Z below, which is too low where the flow misses mass",
            unmeasured if result["log_z"] is None and not result["k_hat_verdict"] else at_least_missing,
        ),
        ("KL(q‖p), quadrature", "reverse_kl_grid", "the same without sampling noise", no_grid),
        ("KL(p‖q), quadrature", "forward_kl_grid", "large where the flow misses mass of the target", no_grid),
        ("KL(p‖q), exact draws", "forward_kl", "the same, from draws of the target", "no draws of this target"),
        ("log Z", "log_z", "normaliser of the target", "not known for this target"),
        ("log Z, importance sampling", "log_z_estimate", "estimated from draws of the flow", unmeasured),
    )
    table = [
        row(name, number(result.get(key), result.get(STD_ERRORS.get(key, ""))), *says) for name, key, *says in rows
    ]
    ess, k_hat = _percentage(result["ess_fraction"]), _two_decimals(result["k_hat"])
    table.append(row("effective sample size", ess, "of the draws, once weighted by p/q", unmeasured))
    table.append(row("Pareto k̂", k_hat, result["k_hat_verdict"], result["k_hat_verdict"] or unmeasured))
    return Table(["measure", "value / nats", "what it means"], table)


def warnings(result: Result) -> list[str]:
    """What a reader must know before trusting the numbers."""
    found = list(result["warnings"])
    lost = [(index, where) for index, where in enumerate(result["divergences"]) if where is not None]
    if lost:
        places = ", ".join(
            f"restart {index} at step {where['step']:,} ({where.get('point') or where['leaf']})"
            for index, where in lost
        )
        found.append(f"{len(lost)} of {len(result['divergences'])} restarts diverged: {places}")
    return found


def restarts(result: Result) -> Table:
    """The KL of each restart, numbered from 0 as in `result.json`, or its free energy where log Z is not known."""
    best = result["best_restart"]
    rows = []
    for index, (kl, divergence) in enumerate(zip(result["restarts"], result["divergences"])):
        shown = number(kl)
        notes = ["best: the flow of this report"] if index == best else []
        if divergence is not None:
            notes.append(f"diverged at step {divergence['step']:,}, first in {divergence['leaf']}")
        elif shown is None:
            notes.append("not finite")
        rows.append([str(index), DASH if shown is None else shown, "; ".join(notes)])
    unit = "free energy / nats" if result.get("restarts_measure") == "free_energy" else "KL(q‖p) / nats"
    return Table(["restart", unit, "note"], rows, emphasised=best)


def validated_restarts(model: str, measure: str, values: Sequence[float | None], result: Result) -> Table:
    """The measure of each restart, numbered from 0 as in `result.json`; the best one stands out."""
    best = result["best_restart"]
    rows = []
    for index, (found, divergence) in enumerate(zip(values, result["divergences"])):
        shown = number(found)
        notes = [f"best: the {model} of this report"] if index == best else []
        if divergence is not None:
            notes.append(f"diverged at step {divergence['step']:,}, first in {divergence['leaf']}")
        if shown is None:
            notes.append("the validation loss was never finite")
        rows.append([str(index), DASH if shown is None else shown, "; ".join(notes)])
    return Table(["restart", measure, "note"], rows, emphasised=best)


def configuration(config: Mapping[str, Any]) -> Table:
    """Every setting by name."""
    return Table([], [[name, "not set" if value is None else str(value)] for name, value in config.items()])


def environment(result: Result) -> Table:
    """Versions, hardware and time."""
    seconds, rate = number(result["seconds"]), number(result["steps_per_second"])
    return Table(
        [],
        [
            *([name, value] for name, value in result["environment"].items()),
            ["time of training", f"{seconds} s"],
            [
                "speed",
                f"{DASH} (no step was left to do)" if rate is None else f"{rate} steps/s of all restarts together",
            ],
        ],
    )


def value(result: Result, name: str, unit: str = "nats") -> str | None:
    """A number of the result with its standard error and unit; None where it is missing."""
    text = number(result.get(name), result.get(f"{name}_std_error"))
    return None if text is None else f"{text} {unit}"


def count(n: int, noun: str) -> str:
    """So many of them."""
    return f"{n:,} {noun}" + ("" if n == 1 else "s")


def true_density(model: str, name: str, result: Result) -> str:
    """How far a model is from the true density of its data, by the `kl_to_truth` of the result."""
    kl, text = result.get("kl_to_truth"), value(result, "kl_to_truth")
    if kl is None or text is None:
        return f"How far the {model} is from the true density of {name} could not be measured."
    if kl < 2 * (result["kl_to_truth_std_error"] or 0.0):
        return f"These rows cannot tell the {model} from the true density of {name}: KL(p‖q) is {text}, 0 is perfect."
    words = next((words for limit, words in CLOSENESS if kl < limit), "far from")
    return f"The {model} is {words} the true density of {name}: KL(p‖q) is {text}, where 0 is perfect."


def training(model: str, allowed: int, lowest: float | None, result: Result, metrics: Metrics) -> str:
    """At which of the allowed steps the validation loss was lowest, and whether more may help."""
    best, step, steps = result["best_restart"], result["best_step"], result["steps"]
    if lowest is None:
        return f"The validation loss was never finite: the {model} is as it was before training."
    if step == steps:
        earlier = [record for record in metrics if record["step"] <= 0.9 * steps]
        before = earlier[-1]["validation"][best] if earlier else None
        fall = None if before is None else number(before - lowest)
        text = "" if fall is None else f", by {fall} nats since step {earlier[-1]['step']:,}"
        return f"The validation loss was still falling at the last step, {steps:,}{text}: more steps may help."
    early = f" Training stopped early: {allowed:,} were allowed." if steps < allowed else ""
    return f"The {model} is that of step {step:,} of {steps:,}, where the validation loss was lowest.{early}"


def row(name: str, value: str | None, meaning: str, reason: str) -> list[str]:
    """A line of the table of results: the number with its meaning, or a dash with the reason."""
    return [name, DASH, reason] if value is None else [name, value, meaning]


def _percentage(fraction: float | None) -> str | None:
    return None if fraction is None or not math.isfinite(fraction) else f"{fraction:.1%}"


def _two_decimals(value: float | None) -> str | None:
    return None if value is None or not math.isfinite(value) else f"{value:.2f}".replace("-", MINUS)


def _weights(result: Result) -> str:
    k_hat, ess = _two_decimals(result["k_hat"]), _percentage(result["ess_fraction"])
    if k_hat is None or ess is None:
        return f"Its importance weights could not be judged: {result['k_hat_verdict'] or 'not finite'}."
    return (
        f"Importance weights: {result['k_hat_verdict']} (k̂ = {k_hat}); the effective sample size is {ess} of "
        f"{result['samples']:,} draws."
    )
