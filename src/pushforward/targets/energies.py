"""The four energies of Rezende & Mohamed, 2015, Table 1, made proper on a declared domain.

U2, U3 and U4 are periodic in z1, so that `exp(-U)` has no finite integral over the plane. The domain is the square
[-4, 4]^2, kept by a wall that is 0 inside it and rises as `((|z_i| - 4) / 0.1)^2 / 2` outside it.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from pushforward.errors import UserError
from pushforward.quadrature import Box, log_integral
from pushforward.safe import safe_norm
from pushforward.targets.base import Target

Point = Float[Array, "2"]
Scalar = Float[Array, ""]

DOMAIN = 4.0
WALL_SCALE = 0.1
BOX: Box = ((-5.0, 5.0), (-5.0, 5.0))


def wall(z: Point) -> Scalar:
    """The energy that keeps a density inside [-4, 4]^2."""
    return 0.5 * jnp.sum((jax.nn.relu(jnp.abs(z) - DOMAIN) / WALL_SCALE) ** 2)


def _log_bump(x: Scalar, scale: float) -> Scalar:
    return -0.5 * (x / scale) ** 2


def _w1(z1: Scalar) -> Scalar:
    return jnp.sin(2 * jnp.pi * z1 / 4)


def _w2(z1: Scalar) -> Scalar:
    return 3 * jnp.exp(_log_bump(z1 - 1, 0.6))


def _w3(z1: Scalar) -> Scalar:
    return 3 * jax.nn.sigmoid((z1 - 1) / 0.3)


def u1(z: Point) -> Scalar:
    """Two opposite arcs of a ring of radius 2."""
    arcs = jnp.logaddexp(_log_bump(z[0] - 2, 0.6), _log_bump(z[0] + 2, 0.6))
    return -_log_bump(safe_norm(z) - 2, 0.4) - arcs


def u2(z: Point) -> Scalar:
    """A band along a sine."""
    return -_log_bump(z[1] - _w1(z[0]), 0.4)


def u3(z: Point) -> Scalar:
    """A band along a sine that splits around a bump."""
    return -jnp.logaddexp(_log_bump(z[1] - _w1(z[0]), 0.35), _log_bump(z[1] - _w1(z[0]) + _w2(z[0]), 0.35))


def u4(z: Point) -> Scalar:
    """A band along a sine that splits in two."""
    return -jnp.logaddexp(_log_bump(z[1] - _w1(z[0]), 0.4), _log_bump(z[1] - _w1(z[0]) + _w3(z[0]), 0.35))


ENERGIES = {"u1": u1, "u2": u2, "u3": u3, "u4": u4}


def factory(name: str) -> Callable[[int], Target]:
    """What makes the target `exp(-U - wall)` of one of `u1` ... `u4`, with log Z by quadrature."""
    potential = ENERGIES[name]

    def log_density(z: Point) -> Scalar:
        return -potential(z) - wall(z)

    def make(dim: int = 2) -> Target:
        if dim != 2:
            raise UserError(f"{name} is a density in 2 dimensions, got --dim {dim}")
        return Target(name, 2, log_density, log_z=log_integral(jax.vmap(log_density), BOX), box=BOX)

    make.__doc__ = potential.__doc__
    return make
