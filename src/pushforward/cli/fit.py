"""`pushforward fit`."""

import argparse
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal

import tyro

from pushforward.cli.families import with_named_flow
from pushforward.cli.runs import Shared, gives_steps, train_and_show
from pushforward.errors import UserError
from pushforward.experiments.config import TrackerName
from pushforward.experiments.families import flag
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.fit.presets import PRESETS
from pushforward.experiments.posterior.config import PosteriorConfig

ENERGIES = ("u1", "u2", "u3", "u4")


def fit_command(arguments: list[str]) -> Callable[..., None]:
    """The command: one flow trained for a number of steps, or the ladder for a posterior."""
    return _ladder() if arguments[:1] == ["fit"] and is_for_ladder(arguments[1:]) else _one_flow(arguments)


def is_for_ladder(arguments: list[str]) -> bool:
    """Whether a target other than the energies of Rezende & Mohamed is named, with settings that the ladder knows."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("target", nargs="?", default="")
    for name in [*(f.name for f in fields(PosteriorConfig) if f.name != "target"), "out", "resume", "devices"]:
        parser.add_argument(flag(name))
    parser.add_argument("--track", nargs="*")
    parser.add_argument("--force", "-h", "--help", action="store_true")
    known, others = parser.parse_known_args(arguments)
    if known.resume:
        config = Path(known.resume) / "config.yaml"
        return config.is_file() and "experiment: posterior" in config.read_text()
    return known.target not in ("", *ENERGIES) and not others


def _ladder() -> Callable[..., None]:
    defaults = PosteriorConfig()

    def fit(
        config: tyro.conf.OmitArgPrefixes[PosteriorConfig] = defaults,
        out: Path | None = None,
        resume: Path | None = None,
        force: bool = False,
        devices: Shared | None = None,
        track: tuple[TrackerName, ...] = (),
    ) -> None:
        """Fit a posterior by a ladder of approximations, judge it, and write its draws and a report.

        With a setting of one flow, such as --flow planar, that flow is trained for a number of steps instead;
        `pushforward fit u1 --help` shows them.

        Args:
            out: folder of the run; a fresh one under runs/ unless given.
            resume: go on with the interrupted run in this folder, by its own settings.
            force: overwrite the run that --out holds.
            devices: of one flow only; the ladder takes what there is.
            track: of one flow only; the ladder keeps no records.
        """
        if devices is not None:
            raise UserError("--devices is for one flow, such as --flow planar; the ladder takes what there is")
        if track:
            raise UserError("--track is for one flow, such as --flow planar; the ladder keeps no records")
        train_and_show(config, defaults, out, resume, force)

    return fit


def _one_flow(arguments: list[str]) -> Callable[..., None]:
    """The settings start from the preset that a command line names."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", default="standard")
    preset = parser.parse_known_args(arguments)[0].preset
    defaults = PRESETS.get(preset, PRESETS["standard"])
    with_flow: Any = with_named_flow(defaults, arguments) if arguments[:1] == ["fit"] else defaults

    def fit(
        config: tyro.conf.OmitArgPrefixes[FitConfig] = with_flow,
        preset: Literal["standard", "quick", "paper", "accurate"] = "standard",
        out: Path | None = None,
        resume: Path | None = None,
        force: bool = False,
        devices: Shared | None = None,
        track: tuple[TrackerName, ...] = (),
    ) -> None:
        """Fit a flow to a density that can only be evaluated, judge it, and write a report.

        A model, given as file.py:name, and every density but u1 to u4 are fitted by a ladder of approximations unless
        a setting of one flow is given; `pushforward fit file.py:name --help` shows its settings.

        Args:
            preset: where the defaults come from; `pushforward list` says what is in each.
            out: folder of the run; a fresh one under runs/ unless given.
            resume: go on with the run in this folder, by its own settings; to more steps in all with --steps.
            force: overwrite the run that --out holds.
            devices: that share the training, all or so many: the restarts, and each batch where the restarts do not
                divide them evenly; as many as divide the restarts unless given.
            track: programs that get the records of training too.
        """
        train_and_show(config, defaults, out, resume, force, devices, track=track, longer=gives_steps(arguments))

    return fit
