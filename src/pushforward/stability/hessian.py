"""The largest eigenvalues of the Hessian of a loss."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Int, PyTree
from scipy.linalg import eigh_tridiagonal

from pushforward.stability.groups import chosen_parameters
from pushforward.types import PRNGKeyArray


@dataclass(frozen=True)
class Eigenvalues:
    """The largest eigenvalues of a Hessian.

    Attributes:
        values: largest first, in nats per squared unit of a parameter. Gradient descent is stable along an eigenvector
            for steps below 2 over its eigenvalue.
        errors: within this distance of each value there is an eigenvalue, up to rounding.
    """

    values: Float[np.ndarray, " count"]
    errors: Float[np.ndarray, " count"]


def top_eigenvalues(
    model: PyTree,
    loss: Callable[[Any], Float[Array, ""]],
    key: PRNGKeyArray,
    *,
    count: int = 1,
    iterations: int = 64,
    mask: PyTree | None = None,
) -> Eigenvalues:
    """The `count` largest eigenvalues of the Hessian of a loss, by the Lanczos iteration (Lanczos, 1950).

    Each iteration takes one Hessian-vector product, forward over reverse (Pearlmutter, 1994, "Fast exact multiplication
    by the Hessian"), and orthogonalises it twice against all vectors before, without which the eigenvalues that have
    converged would come again; memory is that of `iterations` copies of the parameters. From one start vector an
    eigenvalue of several eigenvectors is found once.

    Args:
        model: one model, not an ensemble; losses with a custom reverse derivative only (`jax.custom_vjp`) cannot be
            differentiated forward, continuous flows with `forward_mode` alone.
        loss: of a model, in nats, with data and key fixed, such as `objectives.HeldOut`.
        key: of the start vector.
        count: how many eigenvalues.
        iterations: dimensions of the Krylov space; never more than there are parameters.
        mask: parameters whose block of the Hessian is taken, as from `parameter_groups`; all trained ones unless given.

    Raises:
        ValueError: `count` is not between 1 and the number of iterations or parameters.

    Example:
        >>> scale = parameter_groups(flow)["scale"]
        >>> top_eigenvalues(flow, HeldOut(data), jax.random.key(0), count=3, mask=scale).values
    """
    chosen = chosen_parameters(model, mask)
    size = min(iterations, int(sum(np.sum(keep) for keep in jax.tree.leaves(chosen))))
    if not 0 < count <= size:
        raise ValueError(f"count must lie between 1 and {size}, got {count}")
    diagonal, off_diagonal = (np.asarray(part, np.float64) for part in _lanczos(model, loss, chosen, key, size))
    values, vectors = eigh_tridiagonal(diagonal, off_diagonal[:-1])
    top = slice(None, -count - 1, -1)
    return Eigenvalues(values[top], np.abs(off_diagonal[-1] * vectors[-1, top]))


@eqx.filter_jit
def _lanczos(
    model: PyTree, loss: Callable[[Any], Float[Array, ""]], mask: PyTree, key: PRNGKeyArray, size: int
) -> tuple[Float[Array, " size"], Float[Array, " size"]]:
    """The diagonal of the tridiagonal matrix, and what is beside it; the last entry of that is the residual."""
    parameters, rest = eqx.partition(model, eqx.is_inexact_array)
    point, unravel = ravel_pytree(parameters)
    keep, _ = ravel_pytree(mask)
    gradient = jax.grad(lambda point: loss(eqx.combine(unravel(point), rest)))

    def product(vector: Array) -> Array:
        return jnp.where(keep, jax.jvp(gradient, (point,), (vector,))[1], 0)

    def start(index: Int[Array, ""]) -> Array:
        drawn = jax.random.normal(jax.random.fold_in(key, index), point.shape, point.dtype)
        return jnp.where(keep, drawn, 0)

    def step(index: Int[Array, ""], carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        basis, diagonal, off_diagonal = carry

        def residual(vector: Array) -> Array:
            for _ in range(2):
                vector = vector - basis.T @ (basis @ vector)
            return vector

        image = product(basis[index])
        following = residual(image)
        length = jnp.linalg.norm(following)
        # The space is invariant: another start vector, orthogonal to it, goes on.
        invariant = length <= 10 * jnp.finfo(point.dtype).eps * jnp.linalg.norm(image)
        following = jnp.where(invariant, residual(start(index + 1)), following)
        return (
            basis.at[index + 1].set(following / jnp.linalg.norm(following)),
            diagonal.at[index].set(basis[index] @ image),
            off_diagonal.at[index].set(jnp.where(invariant, 0, length)),
        )

    with jax.default_matmul_precision("highest"):
        first = start(jnp.zeros((), int))
        basis = jnp.zeros((size, point.size), point.dtype).at[0].set(first / jnp.linalg.norm(first))
        zeros = jnp.zeros(size, point.dtype)
        _, diagonal, off_diagonal = lax.fori_loop(0, size, step, (basis, zeros, zeros))
    return diagonal, off_diagonal
