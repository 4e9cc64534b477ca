"""The flow that a command line names, known before it is read: its settings are the flags that the command has."""

import argparse
from typing import TypeVar

from pushforward.experiments.config import FlowConfig, RunConfig
from pushforward.experiments.families import FAMILIES, SETTINGS, flag, settings_of

Config = TypeVar("Config", bound=RunConfig)


def with_named_flow(defaults: Config, arguments: list[str]) -> Config:
    """The defaults with the flow that a command line names, where the run is of one.

    Raises:
        UserError: it gives a setting that this flow does not have.
    """
    if not isinstance(defaults, FlowConfig):
        return defaults
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--flow", "--flow.name", default=defaults.flow)
    flow = parser.parse_known_args(arguments)[0].flow
    if flow in FAMILIES:
        words = {word.partition("=")[0].replace("_", "-").replace("--no-", "--") for word in arguments}
        foreign = [name for name in SETTINGS if flag(name) in words and not hasattr(FAMILIES[flow](), name)]
        settings_of(flow, dict.fromkeys(foreign))
    return defaults.with_flow(flow)
