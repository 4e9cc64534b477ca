"""What the command line prints of a conditional flow."""

from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pushforward.experiments.conditional.run import ConditionalRun
from pushforward.experiments.terminal import finite, measured, print_end


def print_conditional(run: ConditionalRun, report: Path) -> None:
    """The numbers of a conditional flow, what its contexts are worth, what is wrong, and where the report is."""
    console, result = Console(), run.result
    measures = (
        ("test log-likelihood", "test_log_likelihood", "nats"),
        ("without contexts", "unconditional_log_likelihood", "nats"),
        ("gain over that", "gain_over_unconditional", "nats"),
        ("linear regression", "regression_log_likelihood", "nats"),
        ("gain over that", "gain_over_regression", "nats"),
        ("validation log-likelihood", "validation_log_likelihood", "nats"),
        ("training log-likelihood", "train_log_likelihood", "nats"),
    )
    console.print(measured(result, measures))
    if result.get("calibrated"):
        console.print(escape(result["calibration"]), soft_wrap=True, highlight=False)
    console.print(f"best step {result['best_step']:,} of {result['steps']:,}")
    print_end(console, "validation log-likelihood", sorted(finite(result["restarts"]), reverse=True), result, report)
