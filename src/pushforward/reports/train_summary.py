"""The words and tables of the report of a flow trained on data."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pushforward.data import Dataset
from pushforward.experiments.config import TrainConfig
from pushforward.reports.html import Table
from pushforward.reports.summary import CLOSENESS, Result, row
from pushforward.reports.text import DASH, number

Metrics = Sequence[Mapping[str, Any]]

OVERFLOW = "not finite: the flow gives a row the density 0, or a number overflowed"


def value(result: Result, name: str, unit: str = "nats") -> str | None:
    """A number of the result with its standard error and unit; None where it is missing."""
    text = number(result.get(name), result.get(f"{name}_std_error"))
    return None if text is None else f"{text} {unit}"


def verdict(data: Dataset, config: TrainConfig, result: Result, metrics: Metrics) -> list[str]:
    """What the flow is worth, in sentences."""
    sentences = [_likelihood(data, result)]
    if data.log_density is not None:
        sentences.append(_truth(data, result))
    return [*sentences, _overfitting(result), _training(config, result, metrics)]


def results(data: Dataset, result: Result) -> Table:
    """Every number, with its standard error, and what it means or why it is missing."""
    each, bound = ("row", "mean") if data.levels is None else ("image", "mean lower bound")
    shown = min(len(data.test), len(data.train))
    table = [
        row(
            "test log-likelihood",
            value(result, "test_log_likelihood"),
            f"{bound} of {_count(len(data.test), each)} that played no part in training",
            OVERFLOW,
        )
    ]
    if data.levels is not None:
        meaning = f"the same per pixel and channel; less is better, and equal odds for all {data.levels} levels take "
        bits = value(result, "test_bits_per_dimension", "bits")
        table.append(row("test, per dimension", bits, f"{meaning}{math.log2(data.levels):.2f}", OVERFLOW))
    if data.log_density is not None:
        truth, kl = value(result, "true_log_likelihood"), value(result, "kl_to_truth")
        table.append(
            row("true log-likelihood", truth, "of the test rows, by the density they are drawn from", OVERFLOW)
        )
        table.append(
            row("KL(p‖q)", kl, "nats by which the flow q falls short of that density p; 0 is perfect", OVERFLOW)
        )
    table += [
        row(
            "validation log-likelihood",
            value(result, "validation_log_likelihood"),
            f"{bound} of {_count(len(data.validation), each)} that chose the step and the restart",
            OVERFLOW,
        ),
        row(
            "training log-likelihood",
            value(result, "train_log_likelihood"),
            f"{bound} of {_count(shown, each)} of {len(data.train):,} trained on; far above the test: overfitted",
            OVERFLOW,
        ),
        ["best step", f"{result['best_step']:,}", f"of {result['steps']:,}; the flow is the one of that step"],
    ]
    return Table(["measure", "value", "what it means"], table)


def restarts(result: Result) -> Table:
    """The validation log-likelihood of each restart, numbered from 0 as in `result.json`; the best one stands out."""
    best = result["best_restart"]
    rows = []
    for index, (likelihood, divergence) in enumerate(zip(result["restarts"], result["divergences"])):
        shown = number(likelihood)
        notes = ["best: the flow of this report"] if index == best else []
        if divergence is not None:
            notes.append(f"diverged at step {divergence['step']:,}, first in {divergence['leaf']}")
        if shown is None:
            notes.append("the validation loss was never finite")
        rows.append([str(index), DASH if shown is None else shown, "; ".join(notes)])
    return Table(["restart", "validation log-likelihood / nats", "note"], rows, emphasised=best)


def _likelihood(data: Dataset, result: Result) -> str:
    likelihood = value(result, "test_log_likelihood")
    each = "row" if data.levels is None else "image"
    held_out = f"{_count(len(data.test), each)} that {'was' if len(data.test) == 1 else 'were'} held out"
    if likelihood is None:
        return f"The log-likelihood of the {held_out} is not finite: the flow rules out a part of them."
    if data.levels is None:
        return f"The mean log-likelihood of the {held_out} is {likelihood}."
    bits = value(result, "test_bits_per_dimension", "bits per dimension")
    in_bits = "" if bits is None else f", which is at most {bits}"
    return f"The mean log-likelihood of the {held_out} is at least {likelihood}{in_bits}."


def _truth(data: Dataset, result: Result) -> str:
    kl, text = result.get("kl_to_truth"), value(result, "kl_to_truth")
    if kl is None or text is None:
        return f"How far the flow is from the true density of {data.name} could not be measured."
    if kl < 2 * (result["kl_to_truth_std_error"] or 0.0):
        return f"These rows cannot tell the flow from the true density of {data.name}: KL(p‖q) is {text}, 0 is perfect."
    words = next((words for limit, words in CLOSENESS if kl < limit), "far from")
    return f"The flow is {words} the true density of {data.name}: KL(p‖q) is {text}, where 0 is perfect."


def _overfitting(result: Result) -> str:
    names = "train_log_likelihood", "test_log_likelihood"
    means, errors = ([result[f"{name}{end}"] for name in names] for end in ("", "_std_error"))
    if None in means or None in errors:
        return "Whether the flow is overfitted cannot be told from these numbers."
    gap, error = means[0] - means[1], math.hypot(*errors)
    text = f"{number(gap, error)} nats"
    if gap > 2 * error:
        return f"A sign of overfitting: training data are {text} more likely than held-out data."
    return f"No sign of overfitting: training less test log-likelihood is {text}."


def _training(config: TrainConfig, result: Result, metrics: Metrics) -> str:
    best, step, steps = result["best_restart"], result["best_step"], result["steps"]
    if result["restarts"][best] is None:
        return "The validation loss was never finite: the flow is as it was before training."
    if step == steps:
        earlier = [record for record in metrics if record["step"] <= 0.9 * steps]
        before = earlier[-1]["validation"][best] if earlier else None
        fall = None if before is None else number(before + result["restarts"][best])
        text = "" if fall is None else f", by {fall} nats since step {earlier[-1]['step']:,}"
        return f"The validation loss was still falling at the last step, {steps:,}{text}: more steps may help."
    early = f" Training stopped early: {config.steps:,} were allowed." if steps < config.steps else ""
    return f"The flow is that of step {step:,} of {steps:,}, where the validation loss was lowest.{early}"


def _count(n: int, noun: str) -> str:
    return f"{n:,} {noun}" + ("" if n == 1 else "s")
