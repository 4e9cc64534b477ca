"""The words and tables of the report of a flow trained on data."""

import math

from pushforward.data import Dataset
from pushforward.drawing.page import Table
from pushforward.drawing.text import number
from pushforward.experiments.train.config import TrainConfig
from pushforward.experiments.words import Metrics, Result, count, row, training, true_density, validated_restarts, value

OVERFLOW = "not finite: the flow gives a row the density 0, or a number overflowed"


def verdict(data: Dataset, config: TrainConfig, result: Result, metrics: Metrics) -> list[str]:
    """What the flow is worth, in sentences."""
    sentences = [_likelihood(data, result)]
    if data.log_density is not None:
        sentences.append(true_density("flow", data.name, result))
    best = result["restarts"][result["best_restart"]]
    sentences.append(_overfitting(result))
    return [*sentences, training("flow", config.steps, None if best is None else -best, result, metrics)]


def results(data: Dataset, result: Result) -> Table:
    """Every number, with its standard error, and what it means or why it is missing."""
    each, bound = ("row", "mean") if data.levels is None else ("image", "mean lower bound")
    shown = min(len(data.test), len(data.train))
    table = [
        row(
            "test log-likelihood",
            value(result, "test_log_likelihood"),
            f"{bound} of {count(len(data.test), each)} that played no part in training",
            OVERFLOW,
        )
    ]
    if data.levels is not None:
        meaning = f"the same per pixel and channel; less is better, and equal odds for all {data.levels} levels take "
        bits = value(result, "test_bits_per_dimension", "bits")
        table.append(row("test, per dimension", bits, f"{meaning}{math.log2(data.levels):.2f}", OVERFLOW))
    if "gaussian_log_likelihood" in result:
        gaussian, gain = value(result, "gaussian_log_likelihood"), value(result, "gain_over_gaussian")
        of_test = "of the test set, with the mean and the covariance of those trained on"
        table.append(row("Gaussian log-likelihood", gaussian, of_test, OVERFLOW))
        table.append(row("gain over the Gaussian", gain, "nats that the flow is worth beside that Gaussian", OVERFLOW))
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
            f"{bound} of {count(len(data.validation), each)} that chose the step and the restart",
            OVERFLOW,
        ),
        row(
            "training log-likelihood",
            value(result, "train_log_likelihood"),
            f"{bound} of {count(shown, each)} of {data.rows[0]:,} trained on; far above the test: overfitted",
            OVERFLOW,
        ),
        ["best step", f"{result['best_step']:,}", f"of {result['steps']:,}; the flow is the one of that step"],
    ]
    return Table(["measure", "value", "what it means"], table)


def restarts(result: Result) -> Table:
    """The validation log-likelihood of each restart."""
    return validated_restarts("flow", "validation log-likelihood / nats", result["restarts"], result)


def _likelihood(data: Dataset, result: Result) -> str:
    likelihood = value(result, "test_log_likelihood")
    each = "row" if data.levels is None else "image"
    held_out = f"{count(len(data.test), each)} that {'was' if len(data.test) == 1 else 'were'} held out"
    if likelihood is None:
        return f"The log-likelihood of the {held_out} is not finite: the flow rules out a part of them."
    if data.levels is None:
        return f"The mean log-likelihood of the {held_out} is {likelihood}."
    bits = value(result, "test_bits_per_dimension", "bits per dimension")
    in_bits = "" if bits is None else f", which is at most {bits}"
    return f"The mean log-likelihood of the {held_out} is at least {likelihood}{in_bits}."


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
