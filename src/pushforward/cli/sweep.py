"""`pushforward sweep`."""

import argparse
from collections.abc import Callable
from typing import Any, Literal

import tyro

from pushforward.cli.cluster import Address, cluster_of
from pushforward.cli.families import with_named_flow
from pushforward.cli.fit import is_for_ladder
from pushforward.cli.runs import goes_on_again
from pushforward.cli.train import of_preset, train_defaults
from pushforward.errors import UserError
from pushforward.experiments import registry
from pushforward.experiments.fit.config import FitConfig
from pushforward.experiments.posterior.config import PosteriorConfig
from pushforward.experiments.train.config import TrainConfig, is_file


def sweep_command(arguments: list[str]) -> Callable[..., None]:
    """The command, whose settings are those of the runs that its first word makes: of a flow, data or a posterior."""
    first = arguments[1] if arguments[:1] == ["sweep"] and len(arguments) > 1 else ""
    name = "" if first.startswith("-") else first
    defaults: Any = _defaults(arguments[1:]) if name else FitConfig()
    with_flow = with_named_flow(defaults, arguments) if name else defaults
    Config: Any = type(defaults)

    def sweep(
        config: tyro.conf.OmitArgPrefixes[Config] = with_flow,
        over: tuple[str, ...] = (),
        out: str | None = None,
        command: Literal["fit", "train"] | None = None,
        ray: Address = None,
        cpus_per_run: int = 1,
        gpus_per_run: float = 0.0,
        retries: int = 3,
    ) -> None:
        """Train a run for every point of a grid of settings, and compare them in a table and on a page.

        The first word is a density as for `fit`, or a data set, file or preset as for `train`; `sweep WORD --help`
        shows the settings of its runs. Called again it goes on with what is not finished.

        Args:
            over: what varies: NAME=VALUE,VALUE or NAME=FIRST..LAST for each setting, as flow.length=4,8 seed=0..4.
            out: folder of the sweep, or the address of one that fsspec knows, as s3://bucket/sweep; runs/sweep-NAME
                unless given.
            command: what a run is; only for a name that is both a density and a data set.
            ray: on a Ray cluster: that at ADDRESS, or on this machine or where RAY_ADDRESS says.
            cpus_per_run: cores of a run on a cluster.
            gpus_per_run: of a run on a cluster.
            retries: how often a run of a cluster goes on from its newest checkpoint after its process has died.
        """
        from pushforward.sweeps.grid import axes_of
        from pushforward.sweeps.page import write_sweep
        from pushforward.sweeps.sweep import open_sweep

        cluster = cluster_of(ray, cpus_per_run, gpus_per_run, retries)
        if isinstance(config, TrainConfig):
            config = of_preset(config, name)
        swept = open_sweep(config, axes_of(over, config), out)
        with goes_on_again():
            runs = swept.train(cluster)
        write_sweep(swept, runs)
        if failed := [run for run in runs if run.complaint is not None]:
            raise UserError(
                f"{len(failed)} of {len(runs)} runs failed, the first of them {failed[0].name}: {failed[0].complaint}; "
                "the same command tries them again"
            )

    return sweep


def _defaults(arguments: list[str]) -> Any:
    """The settings that the runs of a command line start from: of data, or of a density.

    Raises:
        UserError: its first word is the name of both, and the command line does not say which.
    """
    from pushforward import data, targets

    name, others = arguments[0], arguments[1:]
    own = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--over", nargs="*", default=[])
    own.add_argument("--ray", nargs="*")
    own.add_argument("--command")
    for flag in ("--cpus-per-run", "--gpus-per-run", "--retries"):
        own.add_argument(flag)
    known, others = own.parse_known_args(others)
    if known.command is None and name in data.DATASETS and name in targets.TARGETS and not {"-h", "--help"} & {*others}:
        raise UserError(f"{name} is a density and a data set: say which with --command fit or --command train")
    of_data = name in registry.presets("train") or name in data.DATASETS or is_file(name)
    if known.command == "train" or (known.command is None and of_data):
        return train_defaults(name)
    varied = [f"--{word.partition('=')[0]}=" for word in known.over]
    return PosteriorConfig() if is_for_ladder([name, *others, *varied]) else FitConfig()
