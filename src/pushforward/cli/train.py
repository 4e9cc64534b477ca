"""`pushforward train`."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import tyro

from pushforward.cli.families import with_named_flow
from pushforward.cli.runs import Shared, gives_steps, train_and_show, train_together
from pushforward.errors import UserError, nearest
from pushforward.experiments import registry
from pushforward.experiments.config import TrackerName
from pushforward.experiments.train.config import TrainConfig, is_file


def train_command(arguments: list[str]) -> Callable[..., None]:
    """The command, whose settings are those of the kind of run that a preset is of, and start from the preset."""
    name = arguments[1] if arguments[:1] == ["train"] and len(arguments) > 1 else ""
    defaults = train_defaults(name)
    with_flow = with_named_flow(defaults, arguments) if arguments[:1] == ["train"] else defaults
    longer = gives_steps(arguments)
    Config: Any = type(defaults)

    def train(
        config: tyro.conf.OmitArgPrefixes[Config] = with_flow,
        out: Path | None = None,
        resume: Path | None = None,
        force: bool = False,
        devices: Shared | None = None,
        track: tuple[TrackerName, ...] = (),
        distributed: bool = False,
        coordinator: str | None = None,
        processes: int | None = None,
        process: int | None = None,
    ) -> None:
        """Train a model on data, judge it on held-out data, and write a report.

        A flow, by maximum likelihood; or, with a preset dlgm-..., whose settings `train PRESET --help` shows, a deep
        latent Gaussian model.

        Args:
            out: folder of the run; a fresh one under runs/ unless given.
            resume: go on with the run in this folder, by its own settings; to more steps in all with --steps.
            force: overwrite the run that --out holds.
            devices: that share the training, all or so many: the restarts, and each batch where the restarts do not
                divide them evenly; as many as divide the restarts unless given.
            track: programs that get the records of training too.
            distributed: this is one of several processes that train the run together, each with a call of this command;
                they find each other under Slurm and Open MPI. The first writes and prints.
            coordinator: HOST:PORT of the first of them, elsewhere.
            processes: how many there are, elsewhere.
            process: which this is, from 0, elsewhere.
        """
        if distributed:
            from pushforward.experiments.processes import Processes

            if track:
                raise UserError("--track is for one process; leave --distributed out")
            if devices not in (None, "all"):
                raise UserError("--distributed takes every device of every process; leave --devices out")
            together = Processes(coordinator, processes, process)
            train_together(together, of_preset(config, name), defaults, out, resume, force, longer=longer)
            return
        if coordinator is not None or processes is not None or process is not None:
            raise UserError("--coordinator, --processes and --process are for --distributed")
        train_and_show(of_preset(config, name), defaults, out, resume, force, devices, track=track, longer=longer)

    return train


def train_defaults(name: str) -> Any:
    """The settings that a preset, or data of this name, starts from."""
    return registry.presets("train").get(name, TrainConfig())


def of_preset(config: Any, name: str) -> Any:
    """The settings with the data of the preset that a command line names, where it names one.

    Raises:
        UserError: it names one that is not there.
    """
    presets, subject = registry.presets("train"), getattr(config, config.SUBJECT)
    if name in presets and subject == name:
        return replace(config, **{config.SUBJECT: getattr(presets[name], config.SUBJECT)})
    if subject.startswith("dlgm-") and not is_file(subject):
        raise UserError(f"unknown preset {subject!r}{nearest(subject, presets)}")
    return config
