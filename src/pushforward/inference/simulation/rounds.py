"""Rounds of simulation near one observation: the prior, cut off where the posterior so far has next to no mass.

Deistler, Goncalves & Macke, 2022, "Truncated proposals for scalable and hassle-free simulation-based inference": within
the region the proposal is the prior times a constant, so that the loss needs no correction.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.errors import UserError
from pushforward.inference.simulation.estimation import Estimator
from pushforward.inference.simulation.simulators import from_prior
from pushforward.types import PRNGKeyArray

OUTSIDE = 1e-4
DRAWS = 10_000
BATCH, MOST_BATCHES = 20_000, 500


def truncated(
    estimator: Estimator, x: Float[np.ndarray, "..."], key: PRNGKeyArray
) -> Callable[[PRNGKeyArray, int], Float[Array, "n D"]]:
    """Draws from the prior where the posterior given an observation is: its region of highest density, but for 1e-4.

    Args:
        estimator: of the rounds before.
        x: the observation.
        key: for the draws that tell where the region ends.

    Returns:
        From a key and a number n to coordinates `(n, D)`. It raises `UserError` where fewer than one in a million
        draws from the prior lie in the region.
    """
    _, log_q = estimator.coordinates(key, DRAWS, x)
    least = float(np.quantile(log_q, OUTSIDE))
    flow = estimator.at(x)
    inside = eqx.filter_jit(lambda flow, z: flow.log_prob(z) >= least)
    propose = from_prior(estimator.prior)

    def draw(key: PRNGKeyArray, n: int) -> Float[Array, "n D"]:
        found: list[np.ndarray] = []
        for index in range(MOST_BATCHES):
            z = propose(jax.random.fold_in(key, index), BATCH)
            found.append(np.asarray(z)[np.asarray(inside(flow, z))])
            if sum(map(len, found)) >= n:
                return jnp.asarray(np.concatenate(found)[:n])
        accepted = sum(map(len, found))
        raise UserError(
            f"{accepted:,} of {MOST_BATCHES * BATCH:,} draws from the prior lie where the posterior is, {n:,} are "
            "needed: a posterior so narrow takes fewer rounds"
        )

    return draw
