"""Arrays and tables that Python 2 pickled, read without running any code that a pickle asks for."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from pushforward.data.tables import Table
from pushforward.data.text import brief
from pushforward.errors import UserError

ARRAY_PARTS = {("numpy.core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}


class ArrayUnpickler(pickle.Unpickler):
    """Knows what an array is made of, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAY_PARTS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}")
        return super().find_class(module, name)


class Part:
    """A part of a data frame: what it was made of, in place of what pandas would make of it."""

    arguments: tuple[Any, ...]
    state: Any

    def __new__(cls, *arguments: Any) -> "Part":
        part = super().__new__(cls)
        part.arguments, part.state = arguments, None
        return part

    def __setstate__(self, state: Any) -> None:
        self.state = state


class FrameUnpickler(ArrayUnpickler):
    """Knows what a data frame is made of too; pandas itself, which may not be there, is never called."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "pandas":
            return type(name, (Part,), {})
        if (module, name) == ("__builtin__", "slice"):
            return slice
        return super().find_class(module, name)


def read_frame(path: Path) -> Table:
    """A table of numbers that pandas 0.14 to 1.2 pickled, which later ones cannot read where Python 2 wrote it.

    Args:
        path: the file.

    Raises:
        UserError: it is no such file, not whole, holds other than finite numbers, or asks for more than a data frame.
    """
    try:
        with path.open("rb") as file:
            frame = FrameUnpickler(file, encoding="latin1").load()
        (manager,) = (part for part in frame.state.values() if isinstance(part, Part))
        content = manager.state[3]["0.14.1"]
        names = tuple(map(str, content["axes"][0].arguments[1]["data"]))
        blocks = [(block["mgr_locs"], np.asarray(block["values"], float)) for block in content["blocks"]]
        values = np.empty((len(blocks[0][1].T), len(names)))
        for places, block in blocks:
            values[:, places] = block.T
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from error
    except Exception as error:
        raise UserError(f"{path} is not a whole pickle of a data frame: {brief(str(error), 80)}") from error
    if not np.isfinite(values).all():
        raise UserError(f"{path} holds numbers that are not finite")
    return Table(values, names)
