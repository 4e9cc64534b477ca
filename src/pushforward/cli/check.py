"""`pushforward check`."""

import sys

import tyro

from pushforward.cli.exits import USER_ERROR
from pushforward.experiments.train.config import CheckConfig


def check(config: tyro.conf.OmitArgPrefixes[CheckConfig]) -> None:
    """Say what `train` would read in a file, what it would warn of, and what it would refuse."""
    from pushforward.experiments.train.terminal import print_check

    if not print_check(config):
        sys.exit(USER_ERROR)
