"""A grid of settings: what `--over flow.length=4,8 seed=0..4` says, and the runs that it makes."""

import io
import itertools
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import fields, replace
from typing import Any

import tyro

from pushforward.errors import UserError, nearest
from pushforward.experiments.config import FlowConfig, RunConfig, values_of
from pushforward.experiments.families import FAMILIES, SETTINGS, flag
from pushforward.experiments.parsing import REGISTRY

Axes = Mapping[str, tuple[str, ...]]
"""Settings by name, each with the words of its values."""

RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")
UNFIT = re.compile(r"[^\w.+-]")
"""What the name of a folder should not have."""
FLOW, SEED = "flow", "seed"


def axes_of(words: Sequence[str], config: RunConfig) -> Axes:
    """What a command line varies: `name=value,value` or, of whole numbers, `name=first..last`.

    Args:
        words: one for each setting.
        config: of the runs.

    Raises:
        UserError: a word is not of this form, names a setting that the runs do not have, or one twice, or has no value.

    Example:
        >>> axes_of(["flow.length=4,8", "seed=0..2"], FitConfig())
        {'length': ('4', '8'), 'seed': ('0', '1', '2')}
    """
    axes: dict[str, tuple[str, ...]] = {}
    known = _settings(config)
    for word in words:
        text, equals, values = word.partition("=")
        name = _field(text)
        if not equals:
            raise UserError(f"--over {word} is not of the form name=value,value")
        if name not in known:
            raise UserError(f"--over {text}: there is no such setting{nearest(name, known)}")
        if name in axes:
            raise UserError(f"--over {text} is given twice")
        axes[name] = tuple(_values(values))
        if not axes[name]:
            raise UserError(f"--over {word} has no value")
    if not axes:
        raise UserError("give what to vary, as --over flow.length=4,8 seed=0..4")
    return axes


def runs_of(config: RunConfig, axes: Axes) -> dict[str, RunConfig]:
    """The settings of every run of a grid, by the name of its folder; the last setting varies fastest.

    Where the flow varies, each has what it knows of the settings that they share.

    Args:
        config: what they share.
        axes: what they do not.

    Raises:
        UserError: a value is not one of its setting, a flow lacks a setting that varies, or two runs are the same.
    """
    runs: dict[str, RunConfig] = {}
    seen: set[RunConfig] = set()
    read = _Reader()
    for words in itertools.product(*axes.values()):
        varied = dict(zip(axes, words))
        each = config
        if FLOW in varied:
            if varied[FLOW] not in FAMILIES:
                raise UserError(f"unknown flow {varied[FLOW]!r}{nearest(varied[FLOW], FAMILIES)}")
            assert isinstance(each, FlowConfig)
            each = each.with_flow(varied[FLOW])
        for name, word in varied.items():
            if name != FLOW:
                each = read.changed(each, name, word)
        each.check()
        if each in seen:
            raise UserError(f"two runs of the grid are the same: {', '.join(f'{k}={v}' for k, v in varied.items())}")
        seen.add(each)
        runs[_folder(varied)] = each
    return runs


class _Reader:
    """Reads values as the command line does, each once."""

    def __init__(self) -> None:
        self._read: dict[tuple[str | None, str, str], Any] = {}

    def changed(self, config: Any, name: str, word: str) -> Any:
        """The settings with another value of one of them.

        Raises:
            UserError: the word is none.
        """
        flow = config.flow if isinstance(config, FlowConfig) else None
        key = flow, name, word
        if key not in self._read:
            self._read[key] = _read(config, name, word)
        value = self._read[key]
        if name in {f.name for f in fields(config)}:
            return replace(config, **{name: value})
        return replace(config, settings=replace(config.settings, **{name: value}))


def _read(config: RunConfig, name: str, word: str) -> Any:
    """The value of a setting that a word stands for."""
    current = values_of(config)
    if name not in current:
        raise UserError(f"--over {name}: {getattr(config, FLOW)} has no {flag(name)}")
    if isinstance(current[name], bool):
        choices = {"true": [flag(name)], "false": [flag(f"no_{name}")]}
        if word.lower() not in choices:
            raise UserError(f"--over {name}={word}: it is true or false")
        words = choices[word.lower()]
    else:
        words = [f"{flag(name)}={word}"]
    Config: Any = tyro.conf.OmitArgPrefixes[type(config)]  # type: ignore[misc] # a type known when it runs
    complaint = io.StringIO()
    try:
        with redirect_stderr(complaint), redirect_stdout(complaint):
            return values_of(tyro.cli(Config, args=words, default=config, registry=REGISTRY))[name]
    except SystemExit as error:
        raise UserError(f"--over {name}={word}: {word!r} is no value of {flag(name)}") from error


def _settings(config: RunConfig) -> list[str]:
    """The names of what can vary: all settings that are one word."""
    own = [f.name for f in fields(config) if f.name not in (config.SUBJECT, "settings")]
    single = [name for name in own if not isinstance(getattr(config, name), tuple)]
    return [*single, *(SETTINGS if isinstance(config, FlowConfig) else ())]


def _field(text: str) -> str:
    """The name of a setting that is written as a flag has it: `flow.length`, `batch-size`."""
    name = text.removeprefix("--").replace("-", "_")
    return FLOW if name == "flow.name" else name.removeprefix("flow.")


def _values(text: str) -> list[str]:
    values = []
    for word in filter(None, text.split(",")):
        ends = RANGE.fullmatch(word)
        values += [word] if ends is None else [str(n) for n in range(int(ends[1]), int(ends[2]) + 1)]
    return values


def _folder(varied: Mapping[str, str]) -> str:
    return "-".join(f"{name}-{UNFIT.sub('_', word)}" for name, word in varied.items())
