"""The target that a command names."""

from pushforward import posteriors, targets
from pushforward.errors import UserError, nearest
from pushforward.targets import Target, is_path


def named_target(name: str, dim: int | None, data: str | None) -> Target:
    """The target of a name that `pushforward list` shows, or of `file.py:name` or `module:name`.

    Args:
        name: of the target.
        dim: dimensions of a function of one point, or of a target of any dimension.
        data: file with the arguments of a model.

    Raises:
        UserError: there is no such target, it cannot be used, or it does not take `dim`.
    """
    if is_path(name):
        return targets.from_source(name, dim, data)
    if name in posteriors.POSTERIORS:
        if dim is not None:
            raise UserError(f"{name} has a number of dimensions of its own: leave --dim out")
        return posteriors.make(name)
    if name not in targets.TARGETS:
        near = nearest(name, [*targets.TARGETS, *posteriors.POSTERIORS])
        raise UserError(f"unknown target {name!r}{near}; a function or model of yours is module:name or file.py:name")
    return targets.make(name, dim)
