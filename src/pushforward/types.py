"""Types that signatures name, so that `help` shows the name."""

from typing import Any

import jaxtyping
from typing_extensions import TypeAliasType

__all__ = ["Numbers", "PRNGKeyArray"]


def __dir__() -> list[str]:
    return __all__


PRNGKeyArray = TypeAliasType("PRNGKeyArray", jaxtyping.PRNGKeyArray)
"""What `jax.random.key` returns."""

Numbers = TypeAliasType("Numbers", Any)
"""A number, an array of any real type, a nested list, or a data frame."""
