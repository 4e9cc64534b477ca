"""The words and tables of an inference from simulations."""

from pushforward.drawing.page import Table
from pushforward.experiments.infer.config import InferConfig
from pushforward.experiments.summaries import COLUMNS, cells
from pushforward.experiments.words import Result, row, value


def verdict(config: InferConfig, result: Result) -> list[str]:
    """What was simulated, and what the posterior is worth, in sentences."""
    lost = sum(result["failures"].values())
    failed = f"; {lost:,} more failed and were left out" if lost else ""
    rounds = "" if config.rounds == 1 else f" in {config.rounds} rounds near the observation"
    sentences = [f"{result['description']}.", f"{result['simulations']:,} simulations{rounds}{failed}."]
    found = [result[name] for name in ("calibration", "local", "chains", "predictive") if name in result]
    sentences += [f"{text[0].upper()}{text[1:]}." for text in found]
    if config.rounds > 1:
        sentences.append("Rounds are near one observation: calibration over all of them would say nothing.")
    return sentences


def results(result: Result) -> Table:
    """The parameters given the observation; without one how well pairs are told."""
    if "summary" in result:
        return Table(list(COLUMNS), [cells(each) for each in result["summary"]], text_columns=1)
    meanings = {
        "test": "mean log-density of the parameters of pairs that played no part, in the prior's coordinates",
        "validation": "of pairs that chose the step",
        "train": "of pairs trained on; far above the test: overfitted",
    }
    lines = [
        row(f"{name} log-likelihood", value(result, f"{name}_log_likelihood"), meaning, "not finite")
        for name, meaning in meanings.items()
    ]
    return Table(["measure", "value", "what it means"], lines)
