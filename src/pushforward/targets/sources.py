"""Targets by the name of a Python object: a model, a target or a function in a module or a file."""

import csv
import importlib
import importlib.util
import inspect
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped

from pushforward.errors import UserError, nearest
from pushforward.targets.base import Target
from pushforward.targets.callables import first_line, from_callable
from pushforward.targets.numpyro import from_numpyro, runs_numpyro


def from_source(path: str, dim: int | None = None, data: str | Path | None = None) -> Target:
    """The target that `module:name` or `file.py:name` stands for.

    The name is a `Target`, a NumPyro model, a PyMC model, or a function of one point, which takes `dim`.

    Args:
        path: `module:name` or `file.py:name`; modules are looked for in the current folder too.
        dim: dimensions D of a function of one point.
        data: a .json, .npz or .csv file with the arguments of the model by name.

    Raises:
        UserError: the object is not there or is none of these, its data do not fit, or its density cannot be used.
    """
    module, _, attribute = path.rpartition(":")
    found = named_object(module, attribute)
    name = f"{Path(module).name}:{attribute}"
    arguments = {} if data is None else read_data(data)
    if isinstance(found, Target):
        if dim is not None or data is not None:
            raise UserError(f"{path} is a target, which takes neither --dim nor --data")
        return found
    if type(found).__module__.startswith("pymc.") and hasattr(found, "value_vars"):
        from pushforward.targets.pymc import from_pymc

        if dim is not None or data is not None:
            raise UserError(f"{path} is a PyMC model, which takes neither --dim nor --data")
        return from_pymc(found, name=name)
    if not callable(found):
        raise UserError(f"{path} is a {type(found).__name__}, no model, target or function")
    if dim is not None:
        if data is not None:
            raise UserError(f"{path} is a function of one point: --data is for models")
        return from_callable(found, dim, name=path)
    hint = "a model gets its arguments from --data, a function of one point takes --dim"
    try:
        inspect.signature(found).bind(**arguments)
    except TypeError as error:
        raise UserError(f"{path}: {first_line(error)}; {hint}") from error
    if not runs_numpyro(found, name, arguments):
        raise UserError(f"{path} runs no numpyro.sample; {hint}")
    return from_numpyro(found, name=name, **arguments)


def read_data(path: str | Path) -> dict[str, Any]:
    """The arguments in a .json, .npz or .csv file, by name; lists become arrays, and so do columns of a table.

    Columns of whole numbers are integers, and empty cells NaN.

    Args:
        path: of the file.

    Raises:
        UserError: the file is not there, is of another kind, or cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is not there")
    try:
        match path.suffix:
            case ".json":
                values = json.loads(path.read_text())
                if not isinstance(values, dict):
                    raise UserError(f"{path} must hold an object, whose names are the arguments of the model")
                return {name: np.asarray(value) if isinstance(value, list) else value for name, value in values.items()}
            case ".npz":
                with np.load(path, allow_pickle=False) as archive:
                    return dict(archive)
            case ".csv":
                with path.open(newline="") as file:
                    names, *rows = csv.reader(file)
                columns = zip(names, zip(*rows, strict=True))
                return {name: _column(column) for name, column in columns}
    except (ValueError, OSError) as error:
        raise UserError(f"{path} cannot be read: {first_line(error)}") from error
    raise UserError(f"--data is a .json, .npz or .csv file, got {path}")


def _column(cells: Sequence[str]) -> Shaped[np.ndarray, " rows"]:
    values = np.array([cell or "nan" for cell in cells], float)
    whole = np.isfinite(values).all() and (values == np.round(values)).all()
    return values.astype(int) if whole else values


def named_object(module: str, name: str) -> Any:
    """What a module or a file calls by a name.

    Args:
        module: on the Python path, in the current folder, or a file that ends in .py.
        name: in it.

    Raises:
        UserError: it cannot be imported, or has no such name.
    """
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        if module.endswith(".py"):
            file = Path(module)
            if not file.is_file():
                raise UserError(f"{module} is not there")
            spec = importlib.util.spec_from_file_location(file.stem, file)
            if spec is None or spec.loader is None:
                raise UserError(f"{module} is not a Python file")
            loaded = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(loaded)
        else:
            loaded = importlib.import_module(module)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"cannot import {module!r}: {first_line(error)}") from error
    if not hasattr(loaded, name):
        names = [each for each in vars(loaded) if not each.startswith("_")]
        raise UserError(f"{module} has no {name!r}{nearest(name, names)}")
    return getattr(loaded, name)
