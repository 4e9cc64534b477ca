"""What the command line prints of an inference from simulations."""

from pathlib import Path

from rich.markup import escape

from pushforward.experiments.infer.run import DRAWS, InferRun
from pushforward.experiments.summaries import print_summary
from pushforward.experiments.terminal import wide_console


def print_infer(run: InferRun, report: Path) -> None:
    """The parameters given the observation, what checks say, and where the report is."""
    console, result = wide_console(), run.result
    if "summary" in result:
        print_summary(console, result, DRAWS)
    flows = f"{len(result['best_steps'])} flows" if len(result["best_steps"]) > 1 else "1 flow"
    steps = ", ".join(f"{step:,}" for step in result["best_steps"])
    console.print(f"{result['simulations']:,} simulations, {flows}, best step {steps} of {result['steps']:,}")
    checks = {"calibration": "calibrated", "local": "right_here", "chains": "agreed", "predictive": "predicted"}
    for name, good in checks.items():
        if result.get(good):
            console.print(escape(result[name]), soft_wrap=True, highlight=False)
    for warning in result["warnings"]:
        console.print(f"[yellow]warning:[/] {escape(warning)}", soft_wrap=True, highlight=False)
    console.print(f"{result['seconds']:.1f} s")
    if "summary" in result:
        console.print(f"draws: {run.folder / DRAWS}", soft_wrap=True)
    console.print(f"report: {report}", soft_wrap=True)
