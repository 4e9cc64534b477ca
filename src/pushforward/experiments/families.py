"""The settings that each family of flows has, with its defaults. Light to import: `--help` needs nothing else.

A test holds names and defaults to the recipes in `pushforward.flows`.
"""

from dataclasses import dataclass, fields
from typing import Any, Literal

from pushforward.errors import UserError

Mixing = Literal["permutation", "reverse", "rotation", "householder", "lu"]


@dataclass(frozen=True, kw_only=True)
class Family:
    """Settings of a family of flows; this one has none."""


@dataclass(frozen=True, kw_only=True)
class Planar(Family):
    """Planar layers."""

    initialisation: Literal["xavier", "plain"] = "xavier"
    """how the layers start"""


@dataclass(frozen=True, kw_only=True)
class Sylvester(Family):
    """Sylvester layers."""

    orthogonal: Literal["orthogonal", "householder", "triangular"] = "orthogonal"
    """what the orthogonal matrices are: a trained rotation, trained reflections, or a fixed permutation"""

    rank: int | None = None
    """width of a layer; as wide as the data unless given"""


@dataclass(frozen=True, kw_only=True)
class Hidden(Family):
    """Layers with networks."""

    width: int = 64
    """hidden units of each network"""

    depth: int = 2
    """hidden layers of each network"""


@dataclass(frozen=True, kw_only=True)
class Networks(Hidden):
    """Layers whose parameters networks emit."""

    mixing: Mixing = "permutation"
    """what follows each layer"""


@dataclass(frozen=True, kw_only=True)
class Nice(Networks):
    """Additive couplings."""

    width: int = 16
    """hidden units of each network"""


@dataclass(frozen=True, kw_only=True)
class Affine(Networks):
    """Affine couplings and autoregressive layers."""

    scale: float = 2.0
    """largest log scale of a layer at the start"""


@dataclass(frozen=True, kw_only=True)
class Masked(Affine):
    """Masked affine autoregressive layers."""

    scale: float = 1.0
    """largest log scale of a layer at the start"""


@dataclass(frozen=True, kw_only=True)
class Splines(Networks):
    """Rational-quadratic splines."""

    bins: int = 8
    """bins of each spline"""

    bound: float = 5.0
    """where the linear tails begin"""


@dataclass(frozen=True, kw_only=True)
class Sigmoids(Networks):
    """Mixtures of sigmoids."""

    units: int = 8
    """sigmoids in each mixture"""


@dataclass(frozen=True, kw_only=True)
class Residual(Hidden):
    """Residual layers."""

    coefficient: float = 0.9
    """Lipschitz constant of each network"""

    exact: bool = True
    """log-determinants from Jacobians, or unbiased estimates"""


@dataclass(frozen=True, kw_only=True)
class Continuous(Hidden):
    """Continuous flows."""

    tolerance: float = 1e-5
    """of the solver"""

    exact: bool = True
    """the trace by derivatives, or an unbiased estimate"""


@dataclass(frozen=True, kw_only=True)
class Glow(Family):
    """Multi-scale affine couplings of images."""

    mixing: Mixing = "lu"
    """of the channels"""

    levels: int | None = None
    """how often the image is halved; as its sides allow, three times at most, unless given"""

    width: int = 64
    """channels of each network"""

    scale: float = 2.0
    """largest log scale of a layer at the start"""


NONE = Family()

FAMILIES: dict[str, type[Family]] = {
    "planar": Planar,
    "radial": Family,
    "sylvester": Sylvester,
    "nice": Nice,
    "real_vp": Affine,
    "real_nvp": Affine,
    "maf": Masked,
    "iaf": Affine,
    "nsf_coupling": Splines,
    "nsf_autoregressive": Splines,
    "neural_autoregressive": Sigmoids,
    "residual": Residual,
    "continuous": Continuous,
    "glow": Glow,
    "auto": Splines,
}
"""The settings of each flow in `pushforward.flows.RECIPES`, and of the one that is chosen by the data."""

SETTINGS = tuple(dict.fromkeys(field.name for family in FAMILIES.values() for field in fields(family)))
"""The names of all settings that some family has."""


def given(settings: Family) -> dict[str, Any]:
    """The settings that are not their family's defaults, by name."""
    values = {field.name: getattr(settings, field.name) for field in fields(settings)}
    return {name: value for name, value in values.items() if value != getattr(type(settings), name)}


def settings_of(flow: str, values: dict[str, Any]) -> Family:
    """The settings of a flow, defaults but for `values`.

    Raises:
        UserError: the flow has no such setting.
    """
    family = FAMILIES[flow]
    known = [field.name for field in fields(family)]
    for name in values:
        if name not in known:
            has = ", ".join(flag(name) for name in known) or "no settings"
            raise UserError(f"{flow} has no {flag(name)}; it has {has}")
    return family(**values)


def flag(name: str) -> str:
    """The command-line flag of a setting."""
    return "--" + name.replace("_", "-")
