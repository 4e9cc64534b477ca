"""`pushforward fit`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import tyro

from pushforward.cli.families import with_named_flow
from pushforward.cli.runs import train_and_show
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.presets import PRESETS


def fit_command(arguments: list[str]) -> Callable[..., None]:
    """The command, whose settings start from the preset that a command line names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="standard")
    preset = parser.parse_known_args(arguments)[0].preset
    defaults = PRESETS.get(preset, PRESETS["standard"])
    with_flow = with_named_flow(defaults, arguments) if arguments[:1] == ["fit"] else defaults

    def fit(
        config: tyro.conf.OmitArgPrefixes[FitConfig] = with_flow,
        preset: Literal["standard", "quick", "paper", "accurate"] = "standard",
        out: Path | None = None,
        resume: Path | None = None,
        force: bool = False,
    ) -> None:
        """Fit a flow to a density that can only be evaluated, judge it, and write a report.

        Args:
            preset: where the defaults come from; `pushforward list` says what is in each.
            out: folder of the run; a fresh one under runs/ unless given.
            resume: go on with the interrupted run in this folder, by its own settings.
            force: overwrite the run that --out holds.
        """
        train_and_show(config, defaults, out, resume, force)

    return fit
