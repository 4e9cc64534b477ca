"""`pushforward reproduce`."""

from collections.abc import Callable
from typing import Any

import tyro

from pushforward.studies.config import StudyConfig
from pushforward.studies.registry import STUDIES, study


def reproduce_command(arguments: list[str]) -> Callable[..., None]:
    """The command, whose settings are those of the study that a command line names."""
    name = arguments[1] if arguments[:1] == ["reproduce"] and len(arguments) > 1 else ""
    defaults: Any = study(name).config if name in STUDIES else StudyConfig()
    Config: Any = type(defaults)

    def reproduce(config: tyro.conf.OmitArgPrefixes[Config] = defaults) -> None:
        """Reproduce a figure or table of a paper; a study that was interrupted goes on where it was.

        `pushforward list` names the studies; `reproduce STUDY --help` shows the settings of one.
        """
        from pushforward.studies.base import run_study
        from pushforward.studies.page import write_study

        write_study(run_study(config))

    return reproduce
