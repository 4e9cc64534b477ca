"""The words and tables of the report of a conditional flow."""

from collections.abc import Sequence

from pushforward.data import Dataset
from pushforward.drawing.page import Table
from pushforward.experiments.train.config import ConditionalConfig
from pushforward.experiments.train.words import OVERFLOW
from pushforward.experiments.words import Metrics, Result, count, row, training, value

DIVERGED = "it diverged, or there is none: the covariance is singular"


def verdict(data: Dataset, config: ConditionalConfig, result: Result, metrics: Metrics) -> list[str]:
    """What the flow and its contexts are worth, in sentences."""
    held_out = f"{count(len(data.test), 'row')} that {'was' if len(data.test) == 1 else 'were'} held out"
    likelihood = value(result, "test_log_likelihood")
    sentences = [
        f"The log-likelihood of the {held_out} is not finite: the flow rules out a part of them."
        if likelihood is None
        else f"The mean log-likelihood of the {held_out}, given their contexts, is {likelihood}."
    ]
    for name, what in (("unconditional", "than without the contexts"), ("regression", "than by a linear regression")):
        gain = value(result, f"gain_over_{name}")
        if gain is not None:
            sentences.append(f"It is {gain} higher {what}.")
    if "calibration" in result:
        sentences.append(f"{result['calibration'][0].upper()}{result['calibration'][1:]}.")
    best = result["restarts"][result["best_restart"]]
    return [*sentences, training("flow", config.steps, None if best is None else -best, result, metrics)]


def results(data: Dataset, contexts: Sequence[str], result: Result) -> Table:
    """Every number, with its standard error, and what it means or why it is missing."""
    given = ", ".join(contexts)
    shown = min(len(data.test), len(data.train))
    lines = (
        ("test log-likelihood", "test_log_likelihood", f"mean of {count(len(data.test), 'row')} given {given}"),
        ("without contexts", "unconditional_log_likelihood", "the same flow, trained on the same rows alone"),
        ("gain over that", "gain_over_unconditional", "nats that the contexts are worth, row by row"),
        ("linear regression", "regression_log_likelihood", "on the contexts, with Gaussian residuals"),
        ("gain over that", "gain_over_regression", "nats that the flow is worth beside it, row by row"),
        ("validation log-likelihood", "validation_log_likelihood", "of the rows that chose step and restart"),
        ("training log-likelihood", "train_log_likelihood", f"of {shown:,} rows trained on; far higher: overfitted"),
    )
    table = [
        row(label, value(result, name), meaning, DIVERGED if name not in result else OVERFLOW)
        for label, name, meaning in lines
    ]
    table.append(["best step", f"{result['best_step']:,}", f"of {result['steps']:,}; the flow is the one of that step"])
    return Table(["measure", "value", "what it means"], table)
