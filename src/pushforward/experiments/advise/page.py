"""The page of an advice."""

import shlex
from pathlib import Path

from pushforward.drawing.page import Picture, Table, render
from pushforward.experiments import words as shared
from pushforward.experiments.advise import words
from pushforward.experiments.advise.advice import Advice
from pushforward.experiments.config import values_of

CAPTION = (
    "The laws of the flow's log-density: at rows that it was not trained on, and at its own draws. A volume-preserving "
    "flow can only have the law of its base, moved."
)


def write_page(advice: Advice) -> Path:
    """Write `advice.html` into the folder of the fitted flow.

    Returns:
        Its path.
    """
    run = advice.run
    page = run.folder / "advice.html"
    command = ["pushforward", "states", "advise", run.config.data, "--tolerance", f"{advice.tolerance:g}"]
    command += ["--steps", str(run.config.steps), "--seed", str(run.config.seed)]
    page.write_text(
        render(
            f"Must a flow change volume to fit {run.dataset.name}?",
            verdict=[words.verdict(advice), words.saving(advice)],
            results=Table(
                [f"{advice.rows:,} rows, D = {advice.dim}", "nats [95% interval]"],
                [list(row) for row in words.numbers(advice)],
                text_columns=1,
            ),
            warnings=shared.warnings(run.result),
            pictures=[Picture.drawn("Densities of states", CAPTION, words.picture(advice))],
            configuration=shared.configuration(values_of(run.config)),
            command=shlex.join(command),
            environment=shared.environment(run.result),
        ),
        encoding="utf-8",
    )
    return page
