"""What a loss is beside a function of model, key and step."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, Int, PyTree

from pushforward.types import PRNGKeyArray

Loss = Callable[[Any, PRNGKeyArray, Int[Array, ""]], Float[Array, ""]]
"""From a model, a key and the number of the step, to a scalar."""


class Remembering(eqx.Module):
    """A loss with a memory, such as a buffer of draws, which goes from one step to the next and into checkpoints."""

    @abc.abstractmethod
    def start(self, model: Any, key: PRNGKeyArray) -> PyTree:
        """The memory before the first step, a pytree of arrays.

        Args:
            model: before training.
            key: for what is drawn.
        """

    @abc.abstractmethod
    def __call__(
        self, model: Any, memory: PyTree, key: PRNGKeyArray, step: Int[Array, ""]
    ) -> tuple[Float[Array, ""], PyTree]:
        """The loss of one step, and the memory for the next one."""
