"""`pushforward train`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tyro

from pushforward.cli.families import with_named_flow
from pushforward.cli.runs import train_and_show
from pushforward.errors import UserError, nearest
from pushforward.experiments import registry
from pushforward.experiments.train.config import TrainConfig, is_file


def train_command(arguments: list[str]) -> Callable[..., None]:
    """The command, whose settings are those of the kind of run that a preset is of, and start from the preset."""
    presets = registry.presets("train")
    name = arguments[1] if arguments[:1] == ["train"] and len(arguments) > 1 else ""
    defaults: Any = presets.get(name, TrainConfig())
    with_flow = with_named_flow(defaults, arguments) if arguments[:1] == ["train"] else defaults
    Config: Any = type(defaults)

    def train(
        config: tyro.conf.OmitArgPrefixes[Config] = with_flow,
        out: Path | None = None,
        resume: Path | None = None,
        force: bool = False,
    ) -> None:
        """Train a model on data, judge it on held-out data, and write a report.

        A flow, by maximum likelihood; or, with a preset dlgm-..., whose settings `train PRESET --help` shows, a deep
        latent Gaussian model.

        Args:
            out: folder of the run; a fresh one under runs/ unless given.
            resume: go on with the interrupted run in this folder, by its own settings.
            force: overwrite the run that --out holds.
        """
        subject = getattr(config, config.SUBJECT)
        if name in presets and subject == name:
            config = replace(config, **{config.SUBJECT: getattr(defaults, config.SUBJECT)})
        elif subject.startswith("dlgm-") and not is_file(subject):
            raise UserError(f"unknown preset {subject!r}{nearest(subject, presets)}")
        train_and_show(config, defaults, out, resume, force)

    return train
