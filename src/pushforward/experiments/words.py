"""Words and tables that the reports of several kinds of runs share."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.drawing.page import Table
from pushforward.drawing.text import DASH, MINUS, number

Result = Mapping[str, Any]
Metrics = Sequence[Mapping[str, Any]]

CLOSENESS = ((0.01, "all but equal to"), (0.1, "close to"), (0.5, "roughly like"))


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
    rows = [[name, value] for name, value in result["environment"].items()]
    rows.append(["time of training", f"{number(result['seconds'])} s"])
    if "steps_per_second" in result:
        rate = number(result["steps_per_second"])
        none_left = f"{DASH} (no step was left to do)"
        rows.append(["speed", none_left if rate is None else f"{rate} steps/s of all restarts together"])
    return Table([], rows)


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


def percentage(fraction: float | None) -> str | None:
    return None if fraction is None or not math.isfinite(fraction) else f"{fraction:.1%}"


def two_decimals(value: float | None) -> str | None:
    return None if value is None or not math.isfinite(value) else f"{value:.2f}".replace("-", MINUS)
