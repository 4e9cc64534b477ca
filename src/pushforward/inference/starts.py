"""Where the fit of a posterior starts: a map from N(0, I) that is as near to it as a quick look gets."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import blackjax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from blackjax.mcmc import hmc
from jax import lax
from jax.scipy.optimize import minimize
from jaxtyping import Array, Bool, Float

from pushforward.bijections import Bijection, Chain, Frozen, Moebius, OntoCircle, TriangularAffine
from pushforward.bijections.circle import wrap
from pushforward.distributions import Normal, Pushforward
from pushforward.errors import UserError
from pushforward.evaluation.importance import BATCH
from pushforward.inference.moves import settled, weighted_moments
from pushforward.inference.summary import unrolled
from pushforward.targets import Target
from pushforward.targets.callables import TRIED
from pushforward.types import PRNGKeyArray

MODES, MODE_STEPS = 6, 500
LEAST_CURVATURE = 1e-6
MOST_NEWTON_STEPS, HALVINGS, CLOSE = 100, 30, 1e-8
"""Steps to a mode, how often one is halved, and the nats that are not worth another."""
PATHFINDER_DRAWS = 2_000
CHAINS, WARM_UP, KEPT, DOUBLINGS = 4, 300, 300, 7
LOOKS, MOVES, MOVABLE, MOST_WEIGHTED = 16, 2, 0.01, 100
"""Batches of draws by which starts are judged and moved, how often, of which ESS, and in up to how many dimensions."""
NEAR = 0.05
"""Half the variance of log weights, about twice KL, a dimension, of a start in many dimensions that is good enough."""
WIDER, TWICE = 3.0, 2.0
MOVED = ", moved"

Looked = tuple[Float[np.ndarray, "n D"], Float[np.ndarray, " n"]]
"""Draws, and their log weights."""


@dataclass(frozen=True)
class Start:
    """A map of N(0, I) to a law with the moments that were found.

    Attributes:
        name: how it was found.
        standard: from standardised coordinates to those of the target: the affine map of the real ones, and of angles
            the map of the circle that makes of the uniform law a Cauchy law of their location and scale.
        affinity: `2 log E_q[sqrt(p / q)]`, in nats: twice the log of the Hellinger affinity, plus log Z. It is
            low for laws that are too narrow and for those that are too wide, which the ELBO punishes far more.
        ess_fraction: effective sample size of importance sampling from it, as a fraction of the draws.
    """

    name: str
    standard: Bijection
    affinity: float
    ess_fraction: float


def best_start(target: Target, key: PRNGKeyArray) -> Start:
    """The start that is nearest to the posterior by Hellinger's distance.

    They are looked for in turn, until one is good enough: the Normal of the curvature at the mode (Laplace), whose ESS
    must be half of the draws; that of the moments of short chains of NUTS, 1% of them; that of Pathfinder (Zhang et
    al., 2022). In up to 100 dimensions the nearest is then moved to the moments that its own draws have by their
    weights, as long as that is nearer still; in more, each is moved by gradients (`settled`).

    Args:
        target: the posterior.
        key: for starts, chains and weights.

    Raises:
        UserError: none of them is finite.
    """
    # A density of the host is too slow for so many draws; angles have no mean.
    movable = target.twice_differentiable and not target.angles
    weighted = movable and target.dim <= MOST_WEIGHTED
    look = eqx.filter_jit(partial(_looked, target, LOOKS if weighted else 1))

    def judged(name: str, standard: Bijection, key: PRNGKeyArray) -> tuple[Start, Looked]:
        z, log_weights = (np.asarray(each, np.float64) for each in look(standard, key))
        return Start(name, standard, *_judged(log_weights)), (z, log_weights)

    found: list[tuple[Start, Looked]] = []
    for index, (name, find, enough) in enumerate(FINDERS):
        key_find, key_look, key_move = jax.random.split(jax.random.fold_in(key, index), 3)
        moments = find(target, key_find)
        if moments is None:
            continue
        standard, spread = _standard(target, *moments), np.inf
        if isinstance(standard, TriangularAffine) and movable and not weighted:
            standard, spread = settled(target, standard, key_move)
            name += MOVED
        found.append(judged(name, standard, key_look))
        if found[-1][0].ess_fraction > enough or spread / 2 < NEAR * target.dim:
            break
    if not found:
        raise UserError(f"no start was found for {target.name}: neither a mode nor chains of finite density")
    nearest, seen = max(found, key=lambda each: each[0].affinity)
    for move in range(MOVES if weighted and nearest.ess_fraction > MOVABLE else 0):
        name = f"{nearest.name.removesuffix(MOVED)}{MOVED}"
        standard = _standard(target, *weighted_moments(*seen))
        moved, seen = judged(name, standard, jax.random.fold_in(key, len(FINDERS) + move))
        if moved.affinity <= nearest.affinity:
            break
        nearest = moved
    return nearest


def laplace(target: Target, key: PRNGKeyArray) -> tuple[Array, Array] | None:
    """The highest of some modes and the inverse of the Hessian there, whose least curvatures are raised.

    Args:
        target: the posterior.
        key: for the places that BFGS starts from.
    """

    def energy(z: Float[Array, " D"]) -> Float[Array, ""]:
        return -target.log_density(z)

    def descend(z: Float[Array, " D"]) -> tuple[Array, Array]:
        result = minimize(energy, z, method="BFGS", options={"maxiter": MODE_STEPS})
        return result.x, result.fun

    points, energies = jax.jit(lambda z: lax.map(descend, z))(_around_zero(target, key, MODES, 0.1))
    finite = np.isfinite(energies) & np.isfinite(points).all(axis=1)
    if not finite.any():
        return None
    curvature = jax.hessian(energy) if target.twice_differentiable else _differences_of(jax.grad(energy))
    mode, hessian = _settled_at(energy, curvature, points[np.argmin(np.where(finite, energies, np.inf))])
    # No law of an angle is wider than the uniform one.
    hessian[np.diag_indices(target.dim)] += np.where(_is_angle(target), 3 / np.pi**2, 0)
    if (found := _decomposed(hessian)) is None:
        return None
    units, curvatures, directions = found
    if not curvatures[-1] > 0:
        return None
    curvatures = np.maximum(curvatures, LEAST_CURVATURE * curvatures[-1])
    return mode, jnp.asarray(units[:, None] * ((directions / curvatures) @ directions.T) * units)


def _settled_at(
    energy: Callable[[Array], Array], curvature: Callable[[Array], Array], z: Float[Array, " D"]
) -> tuple[Float[Array, " D"], Float[np.ndarray, "D D"]]:
    """The minimum that damped steps of Newton's method go to, and the Hessian there.

    Where sizes of parameters differ by orders of magnitude BFGS stops on the way.
    """
    value_and_slope, curvature = jax.jit(jax.value_and_grad(energy)), jax.jit(curvature)
    hessian = np.array(curvature(z))
    for _ in range(MOST_NEWTON_STEPS):
        value, slope = (np.asarray(each) for each in value_and_slope(z))
        if (found := _decomposed(hessian)) is None or not np.isfinite(slope).all():
            break
        units, curvatures, directions = found
        sizes = np.maximum(np.abs(curvatures), LEAST_CURVATURE * np.abs(curvatures).max())
        step = -units * (directions @ (directions.T @ (units * slope) / sizes))
        if not -slope @ step > CLOSE:
            break
        tried = (z + damped * step for damped in 0.5 ** np.arange(HALVINGS))
        lower = next((point for point in tried if value_and_slope(point)[0] < value), None)
        if lower is None:
            break
        z = lower
        hessian = np.array(curvature(z))
    return z, hessian


def _decomposed(
    hessian: Float[np.ndarray, "D D"],
) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"], Float[np.ndarray, "D D"]] | None:
    """The units of the coordinates, and curvatures and directions in these; None of one that is not finite."""
    units = 1 / np.sqrt(np.maximum(np.abs(np.diagonal(hessian)), np.finfo(hessian.dtype).tiny))
    in_units = units[:, None] * hessian * units
    if not np.isfinite(in_units).all():
        return None
    curvatures, directions = np.linalg.eigh(in_units)
    return units, curvatures, directions


def _differences_of(gradient: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The Hessian by central differences of the gradient."""

    def hessian(z: Float[Array, " D"]) -> Float[Array, "D D"]:
        steps = jnp.cbrt(jnp.finfo(z.dtype).eps) * (1 + jnp.abs(z))
        shifts = jnp.diag(steps)
        rows = jax.vmap(gradient)(z[None] + shifts) - jax.vmap(gradient)(z[None] - shifts)
        matrix = rows / (2 * steps[:, None])
        return (matrix + matrix.T) / 2

    return hessian


def pathfinder(target: Target, key: PRNGKeyArray) -> tuple[Array, Array] | None:
    """Mean and covariance of draws of Pathfinder.

    Args:
        target: the posterior.
        key: for its start and draws.
    """
    key_start, key_path, key_draws = jax.random.split(key, 3)

    def draws(start: Float[Array, " D"]) -> Float[Array, "n D"]:
        state, _ = blackjax.vi.pathfinder.approximate(key_path, target.log_density, start)
        return blackjax.vi.pathfinder.sample(key_draws, state, PATHFINDER_DRAWS)[0]

    return _moments(target, np.asarray(jax.jit(draws)(_around_zero(target, key_start, 1, 0.1)[0])))


def warm_up(target: Target, key: PRNGKeyArray) -> tuple[Array, Array] | None:
    """Mean and covariance of the draws of short chains of NUTS, after window adaptation.

    Args:
        target: the posterior.
        key: for the starts and transitions.
    """
    key_start, key_chains = jax.random.split(key)
    options = {"max_num_doublings": DOUBLINGS}

    def chain(key: PRNGKeyArray, start: Float[Array, " D"]) -> Float[Array, "kept D"]:
        key_adapt, key_draws = jax.random.split(key)
        adaptation = blackjax.window_adaptation(blackjax.nuts, target.log_density, **options)
        (state, tuned), _ = adaptation.run(key_adapt, start, WARM_UP)
        step = blackjax.nuts(target.log_density, **tuned).step
        return lax.scan(lambda state, key: _kept(*step(key, state)), state, jax.random.split(key_draws, KEPT))[1]

    starts = _around_zero(target, key_start, CHAINS, 0.5)
    draws = jax.jit(jax.vmap(chain))(jax.random.split(key_chains, CHAINS), starts)
    return _moments(target, np.asarray(draws).reshape(-1, target.dim))


def _kept(state: hmc.HMCState, _: object) -> tuple[object, Array]:
    return state, state.position


def _around_zero(target: Target, key: PRNGKeyArray, count: int, scale: float) -> Float[Array, "n D"]:
    """Draws from N(0, scale^2 I) at which the density can be differentiated, or others of them where there are few."""
    draws = scale * jax.random.normal(key, (TRIED, target.dim))
    usable = np.flatnonzero(target.usable(draws))
    return draws[np.resize(usable, count) if len(usable) else np.arange(count)]


def _moments(target: Target, draws: Float[np.ndarray, "n D"]) -> tuple[Array, Array] | None:
    """Mean and covariance, of angles around it."""
    draws = draws[np.isfinite(draws).all(axis=1)]
    count = len(draws)
    if count < 2 or not (draws.std(axis=0) > 0).all():
        return None
    draws = np.where(_is_angle(target), unrolled(draws), draws)
    return jnp.asarray(draws.mean(axis=0)), _shrunk(np.atleast_2d(np.cov(draws.T)), count)


def _is_angle(target: Target) -> Bool[np.ndarray, " D"]:
    return np.isin(np.arange(target.dim), target.angles)


def _standard(target: Target, mean: Array, covariance: Array) -> Bijection:
    """The map to the moments: affine for the real coordinates, of the circle for the angles."""
    angle = _is_angle(target)
    variances = jnp.diagonal(covariance)
    real = jnp.where(angle[:, None] | angle, jnp.diag(jnp.where(angle, 1.0, variances)), covariance)
    factor = jnp.linalg.cholesky(real)
    affine = TriangularAffine(jnp.where(angle, 0.0, mean), jnp.tril(factor, -1), jnp.log(jnp.diagonal(factor)))
    if not angle.any():
        return affine
    # tan(x / 2) is Cauchy of scale 1 for a uniform x, and a small angle of tangent t is 2 t.
    log_scale = jnp.where(angle, jnp.minimum(jnp.log(variances) / 2 - math.log(2), 0.0), 0.0)
    circle = Moebius(jnp.where(angle, wrap(mean), 0.0), log_scale, tuple(angle.tolist()))
    return Chain((Frozen(affine), circle))


def _looked(target: Target, looks: int, standard: Bijection, key: PRNGKeyArray) -> tuple[Array, Array]:
    """Draws from a start, `(n, D)`, and their log weights."""
    law = started(target, standard)

    def batch(key: PRNGKeyArray) -> tuple[Array, Array]:
        z, log_q = law.sample_and_log_prob(key, (BATCH,))
        return z, target.log_densities(z) - log_q

    z, weights = lax.map(batch, jax.random.split(key, looks))
    return z.reshape(-1, target.dim), weights.ravel()


def _judged(log_weights: Float[np.ndarray, " n"]) -> tuple[float, float]:
    """Affinity and ESS."""
    inside = log_weights[np.isfinite(log_weights)]
    if not len(inside):
        return -np.inf, 0.0
    sizes = np.exp(inside - inside.max())
    affinity = inside.max() + 2 * np.log(np.sqrt(sizes).sum() / len(log_weights))
    return float(affinity), float(sizes.sum() ** 2 / (sizes**2).sum() / len(log_weights))


def _shrunk(covariance: Float[np.ndarray, "D D"], count: float) -> Array:
    """A covariance of so many draws; of fewer than ten a dimension its correlations are made smaller.

    Of more they stay: where parameters are nearly collinear, a little less of a correlation is another law.
    """
    dim = len(covariance)
    share = min(1.0, dim / count) if count < 10 * dim else 0.0
    return jnp.asarray((1 - share) * covariance + share * np.diag(np.diag(covariance)))


def started(target: Target, standard: Bijection, *layers: Bijection) -> Pushforward:
    """N(0, I), of which angles are made uniform, through layers and the map to the coordinates of a target.

    Args:
        target: whose coordinates they are.
        standard: from standardised coordinates.
        layers: between the two.
    """
    if not target.angles:
        return Pushforward(Normal.standard(target.dim, trained=True), Chain((*layers, standard)))
    onto = OntoCircle(tuple(_is_angle(target).tolist()))
    return Pushforward(Normal.standard(target.dim), Chain((onto, *layers, standard)))


def wide_start(target: Target, draws: Float[np.ndarray, "n D"]) -> Pushforward:
    """A Normal law around draws, of three times their standard deviations, and as wide as the box of the target.

    Args:
        target: whose coordinates they are; angles are uniform.
        draws: of an approximation.
    """
    moments = _moments(target, draws)
    if moments is None:
        raise UserError(f"{target.name}: the draws have no finite moments")
    mean, covariance = moments
    covariance = WIDER**2 * covariance
    if target.box is not None:
        covariance += jnp.diag(jnp.array([(high - low) ** 2 / 4 for low, high in target.box]))
    return started(target, _standard(target, mean, covariance))


def widened(flow: Pushforward) -> Pushforward:
    """The law of a flow whose base is twice as wide: it reaches what the flow has pushed to its edge.

    Args:
        flow: with a Normal base.
    """
    base: Any = flow.base
    return Pushforward(eqx.tree_at(lambda base: base.log_scale, base, base.log_scale + math.log(TWICE)), flow.bijection)


FINDERS = (("Laplace", laplace, 0.5), ("warm-up", warm_up, 0.01), ("Pathfinder", pathfinder, 0.0))
"""Starts in the order in which they are tried, and the share of the draws that ESS must exceed to end the search."""
