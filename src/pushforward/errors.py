"""Errors that the command line answers with one line."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module
from typing import Any

__all__ = ["UserError", "imported", "nearest"]


def __dir__() -> list[str]:
    return __all__


class UserError(ValueError):
    """Something the user asked for cannot be done; the message says what, in one line."""


def nearest(name: str, known: Iterable[str]) -> str:
    """What to add to a complaint about an unknown `name`: the nearest known one, or all of them."""
    known = list(known)
    matches = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {matches[0]!r}?" if matches else f"; there are {', '.join(known)}"


def imported(module: str, how: str) -> Any:
    """A module of a package that not every installation has.

    Args:
        module: its name.
        how: to get it.

    Raises:
        UserError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise UserError(f"{module.partition('.')[0]} is not installed: {how}") from error
