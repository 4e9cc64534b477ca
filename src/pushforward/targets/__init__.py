"""Unnormalised densities to fit a flow to."""

from collections.abc import Callable

from pushforward.errors import UserError, nearest
from pushforward.quadrature import Box
from pushforward.targets import energies, standard
from pushforward.targets.base import Model, Parameter, Target, cut_open
from pushforward.targets.callables import from_callable, from_path
from pushforward.targets.callbacks import from_callback
from pushforward.targets.numpyro import from_numpyro
from pushforward.targets.pymc import from_pymc
from pushforward.targets.sources import from_source
from pushforward.targets.trees import from_tree

TARGETS: dict[str, Callable[[int], Target]] = {
    **{name: energies.factory(name) for name in energies.ENERGIES},
    "rings": standard.rings,
    "ring-of-rings": standard.ring_of_rings,
    "moons": standard.moons,
    "checkerboard": standard.checkerboard,
    "gaussian-grid": standard.gaussian_grid,
    "eight-gaussians": standard.eight_gaussians,
    "forty-gaussians": standard.forty_gaussians,
    "clusters": standard.clusters,
    "banana": standard.banana,
    "funnel": standard.funnel,
    "correlated-gaussian": standard.correlated_gaussian,
    "many-well": standard.many_well,
    "student-t-mixture": standard.student_t_mixture,
    "ten-student-t": standard.ten_student_t,
}


def make(name: str, dim: int | None = None, *, log_z: float | None = None, box: Box | None = None) -> Target:
    """The target called `name`: one of `TARGETS`, in 2 dimensions unless `dim` says more, or `module:function`.

    Args:
        name: one of `TARGETS`, or `module:function`.
        dim: dimensions D.
        log_z: log normaliser in nats of a function of your own, where it is known.
        box: region that figures show, for a function of your own.

    Raises:
        UserError: there is no such target, it does not exist in `dim` dimensions, or a function is not usable.
    """
    if is_path(name):
        return from_path(name, dim, log_z=log_z, box=box)
    if name not in TARGETS:
        raise UserError(f"unknown target {name!r}{nearest(name, TARGETS)}; a function of yours is module:function")
    if log_z is not None or box is not None:
        raise UserError(f"{name} brings its own log Z and box; give them for module:function only")
    return TARGETS[name](2 if dim is None else dim)


def is_path(name: str) -> bool:
    """Whether a target is called `module:function`."""
    return ":" in name


__all__ = [
    "TARGETS",
    "Model",
    "Parameter",
    "Target",
    "cut_open",
    "from_callable",
    "from_callback",
    "from_numpyro",
    "from_path",
    "from_pymc",
    "from_source",
    "from_tree",
    "is_path",
    "make",
]


def __dir__() -> list[str]:
    return __all__
