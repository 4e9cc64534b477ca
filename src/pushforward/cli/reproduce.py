"""`pushforward reproduce`."""

from collections.abc import Callable
from typing import Any

import tyro

from pushforward.cli.cluster import Address, cluster_of
from pushforward.cli.runs import goes_on_again
from pushforward.studies.config import StudyConfig
from pushforward.studies.registry import STUDIES, study


def reproduce_command(arguments: list[str]) -> Callable[..., None]:
    """The command, whose settings are those of the study that a command line names."""
    name = arguments[1] if arguments[:1] == ["reproduce"] and len(arguments) > 1 else ""
    defaults: Any = study(name).config if name in STUDIES else StudyConfig()
    Config: Any = type(defaults)

    def reproduce(
        config: tyro.conf.OmitArgPrefixes[Config] = defaults,
        ray: Address = None,
        cpus_per_run: int = 1,
        gpus_per_run: float = 0.0,
        retries: int = 3,
    ) -> None:
        """Reproduce a figure or table of a paper; a study that was interrupted goes on where it was.

        `pushforward list` names the studies; `reproduce STUDY --help` shows the settings of one.

        Args:
            ray: on a Ray cluster: that at ADDRESS, or on this machine or where RAY_ADDRESS says.
            cpus_per_run: cores of a cell on a cluster.
            gpus_per_run: of a cell on a cluster.
            retries: how often a cell of a cluster goes on from its newest checkpoint after its process has died.
        """
        from pushforward.studies.base import run_study
        from pushforward.studies.page import write_study

        cluster = cluster_of(ray, cpus_per_run, gpus_per_run, retries)
        with goes_on_again():
            finished = run_study(config, cluster)
        write_study(finished)

    return reproduce
