"""The observations and reference draws of sbibm 1.1.0 (Lueckmann et al., 2021; MIT licence), from its wheel.

Nothing of its code is run. Arrays that it keeps in PyTorch's old format are read by an unpickler that makes nothing but
arrays and empty shells.
"""

import bz2
import io
import pickle
import struct
import zipfile
from functools import cache
from typing import Any

import numpy as np
from jaxtyping import Float, Shaped

from pushforward.data.downloads import Source, fetch

WHEEL = "sbibm-1.1.0-py2.py3-none-any.whl"
SOURCE = Source("sbibm", (), {WHEEL: "12ecc6b4d327b92f9225f08faa6405e4274fb8e75943d86a53157d1b1bcfaf74"})
DTYPES = {"FloatStorage": np.float32, "DoubleStorage": np.float64, "LongStorage": np.int64}


def content(path: str) -> bytes:
    """The bytes of a file below `sbibm/tasks`.

    Args:
        path: of the file.

    Raises:
        UserError: the wheel is not in the folder `sbibm` of the one that PUSHFORWARD_DATA names.
    """
    with zipfile.ZipFile(fetch(SOURCE, WHEEL)) as wheel:
        return wheel.read(f"sbibm/tasks/{path}")


def observation(task: str, number: int, which: str = "observation") -> Float[np.ndarray, " size"]:
    """One of ten observations.

    Args:
        task: the folder of a task.
        number: from 1.
        which: of its files.
    """
    text = content(f"{task}/files/num_observation_{number}/{which}.csv").decode()
    return np.loadtxt(io.StringIO(text), delimiter=",", skiprows=1).ravel()


def reference(task: str, number: int) -> Float[np.ndarray, "n D"]:
    """10,000 draws from the posterior of an observation.

    Args:
        task: the folder of a task.
        number: of the observation, from 1.
    """
    packed = content(f"{task}/files/num_observation_{number}/reference_posterior_samples.csv.bz2")
    return np.loadtxt(io.StringIO(bz2.decompress(packed).decode()), delimiter=",", skiprows=1)


class Shell:
    """What stands for an object of a class that is not imported."""

    state: Any = None

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        self.state = state


@cache
def saved(path: str) -> Any:
    """What PyTorch has saved in a file: an array, or a shell whose `state` holds more of them.

    Args:
        path: of a file below `sbibm/tasks`.
    """
    file = io.BytesIO(content(path))
    storages: dict[str, tuple[Any, int]] = {}
    later: list[tuple[str, int, tuple[int, ...], tuple[int, ...]]] = []

    class Unpickler(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            if name == "_rebuild_tensor_v2":
                return self._tensor
            return name if name in DTYPES else type(name, (Shell,), {})

        def persistent_load(self, pid: Any) -> str:
            _, kind, key, _, count, *_ = pid
            storages[key] = DTYPES[kind], count
            return key

        def _tensor(self, key: str, offset: int, shape: Any, stride: Any, *_: Any) -> Any:
            later.append((key, offset, tuple(shape), tuple(stride)))
            return Placeholder(len(later) - 1)

    for _ in range(3):  # a magic number, the protocol, and the machine
        Unpickler(file).load()
    found, keys = Unpickler(file).load(), Unpickler(file).load()
    data: dict[str, Shaped[np.ndarray, " n"]] = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        dtype = np.dtype(storages[key][0])
        data[key] = np.frombuffer(file.read(count * dtype.itemsize), dtype)
    arrays = [
        np.lib.stride_tricks.as_strided(
            data[key][offset:], shape, [step * data[key].itemsize for step in stride]
        ).copy()
        for key, offset, shape, stride in later
    ]
    return _filled(found, arrays)


class Placeholder:
    """An array that comes later in a file."""

    def __init__(self, index: int) -> None:
        self.index = index


def _filled(found: Any, arrays: list[np.ndarray]) -> Any:
    match found:
        case Placeholder():
            return arrays[found.index]
        case Shell():
            found.state = _filled(found.state, arrays)
        case dict():
            return {key: _filled(value, arrays) for key, value in found.items()}
    return found
