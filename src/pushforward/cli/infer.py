"""`pushforward infer`."""

from collections.abc import Callable
from pathlib import Path

import tyro

from pushforward.cli.runs import Shared, train_and_show
from pushforward.experiments.config import TrackerName
from pushforward.experiments.infer.config import InferConfig


def infer_command() -> Callable[..., None]:
    """The command, whose settings are those of the kind of run."""
    defaults = InferConfig()

    def infer(
        config: tyro.conf.OmitArgPrefixes[InferConfig] = defaults,
        out: Path | None = None,
        resume: Path | None = None,
        force: bool = False,
        devices: Shared | None = None,
        track: tuple[TrackerName, ...] = (),
    ) -> None:
        """Infer the parameters of a simulator from simulations, check the calibration, and write draws and a report.

        Args:
            out: folder of the run; a fresh one under runs/ unless given.
            resume: go on with the interrupted run in this folder, by its own settings.
            force: overwrite the run that --out holds.
            devices: that share the training, all or so many: the members, and each batch where the members do not
                divide them evenly; as many as divide the members unless given.
            track: programs that get the records of training too.
        """
        train_and_show(config, defaults, out, resume, force, devices, track=track)

    return infer
