"""Flows in files: their structure and their arrays, without pickle.

A file is a ZIP archive with `structure.json`, which names the classes and the fields of every part, and one `.npy` file
an array. Reading runs no code of the file: only classes of this package are made, and functions found by name.
"""

import hashlib
import importlib
import io
import json
import math
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from pushforward.errors import UserError

__all__ = ["load_flow", "save"]

FORMAT, VERSION = "pushforward flow", 1
STRUCTURE = "structure.json"
FUNCTIONS = ("jax.nn", "jax.numpy")


def save(flow: eqx.Module, path: str | Path) -> Path:
    """Write a flow, or any other distribution or bijection of this package, to one file.

    Args:
        flow: what is saved.
        path: of the file; it is written whole or not at all.

    Raises:
        UserError: a part of it is not of this package, or is a function that has no name in `jax.nn` or `jax.numpy`.

    Example:
        >>> pushforward.save(flow, "flow.pf")
        >>> flow = pushforward.load("flow.pf")
    """
    arrays: list[np.ndarray] = []
    structure = _encoded(flow, arrays)
    files = [_npy(array) for array in arrays]
    header = {
        "format": FORMAT,
        "version": VERSION,
        "sha256": _digest(structure, files),
        "structure": structure,
    }
    path = Path(path)
    partial = path.with_name(f"{path.name}.partial")
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(STRUCTURE, json.dumps(header, indent=1))
        for index, content in enumerate(files):
            archive.writestr(f"{index}.npy", content)
    partial.replace(path)
    return path


def load_flow(path: str | Path) -> Any:
    """What `save` has written.

    Args:
        path: of the file.

    Raises:
        UserError: it is not such a file, was altered, or is of a newer version.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read(STRUCTURE))
            if header.get("format") != FORMAT:
                raise ValueError("it is of another program")
            if header["version"] > VERSION:
                raise ValueError(f"it is of version {header['version']}, this package reads {VERSION}")
            count = sum(name.endswith(".npy") for name in archive.namelist())
            files = [archive.read(f"{index}.npy") for index in range(count)]
        if header["sha256"] != _digest(header["structure"], files):
            raise ValueError("it was altered after it was written")
        arrays = [np.load(io.BytesIO(content), allow_pickle=False) for content in files]
        return _decoded(header["structure"], arrays)
    except (zipfile.BadZipFile, KeyError, ValueError, TypeError, AttributeError, IndexError, ImportError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{path} is not a flow that pushforward.save wrote: {reason}") from error


def _npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _digest(structure: Any, files: list[bytes]) -> str:
    digest = hashlib.sha256(json.dumps(structure, sort_keys=True).encode())
    for content in files:
        digest.update(content)
    return digest.hexdigest()


def _encoded(part: Any, arrays: list[np.ndarray]) -> Any:
    match part:
        case None | bool() | int() | str():
            return part
        case float():
            return part if math.isfinite(part) else {"float": str(part)}
        case jax.Array() | np.ndarray():
            if jnp.issubdtype(part.dtype, jax.dtypes.prng_key):
                return {"key": _encoded(jax.random.key_data(part), arrays)}
            arrays.append(np.asarray(part))
            return {"array": len(arrays) - 1}
        case tuple():
            return {"tuple": [_encoded(each, arrays) for each in part]}
        case list():
            return {"list": [_encoded(each, arrays) for each in part]}
        case eqx.Module():
            cls = type(part)
            if not _own(cls.__module__):
                raise UserError(f"{cls.__module__}.{cls.__qualname__} is not of this package: it cannot be saved")
            values = {each.name: _encoded(getattr(part, each.name), arrays) for each in fields(part)}
            return {"class": f"{cls.__module__}:{cls.__qualname__}", "fields": values}
    if callable(part):
        for module in FUNCTIONS:
            name = getattr(part, "__name__", "")
            if getattr(importlib.import_module(module), name, None) is part:
                return {"function": f"{module}:{name}"}
    raise UserError(f"{part!r} has no name in {' or '.join(FUNCTIONS)}: it cannot be saved")


def _decoded(part: Any, arrays: list[np.ndarray]) -> Any:
    if not isinstance(part, dict):
        return part
    (kind, *_) = part
    content = part[kind]
    match kind:
        case "float":
            return float(content)
        case "array":
            return jnp.asarray(arrays[content])
        case "key":
            return jax.random.wrap_key_data(_decoded(content, arrays))
        case "tuple":
            return tuple(_decoded(each, arrays) for each in content)
        case "list":
            return [_decoded(each, arrays) for each in content]
        case "function":
            module, name = content.split(":")
            if module not in FUNCTIONS:
                raise ValueError(f"it names a function of {module}")
            return getattr(importlib.import_module(module), name)
        case "class":
            return _made(content, {name: _decoded(value, arrays) for name, value in part["fields"].items()})
    raise ValueError(f"it has a part of the unknown kind {kind!r}")


def _made(path: str, values: dict[str, Any]) -> eqx.Module:
    module, name = path.split(":")
    if not _own(module):
        raise ValueError(f"it names a class of {module}")
    cls = getattr(importlib.import_module(module), name)
    if not (isinstance(cls, type) and issubclass(cls, eqx.Module)):
        raise ValueError(f"{path} is no part of a flow")
    names = {each.name for each in fields(cls)}
    if names != set(values):
        raise ValueError(f"{name} has the fields {', '.join(sorted(names))}")
    # Not by `__init__`, which some classes make their fields from other arguments with.
    made = object.__new__(cls)
    for field_name, value in values.items():
        object.__setattr__(made, field_name, value)
    return made


def _own(module: str) -> bool:
    return module.split(".")[0] == "pushforward"
