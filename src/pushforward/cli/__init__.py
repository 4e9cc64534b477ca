"""The command line: thin, no logic. What takes long to import is imported by the command that needs it."""

from pushforward.cli.main import main

__all__ = ["main"]


def __dir__() -> list[str]:
    return __all__
