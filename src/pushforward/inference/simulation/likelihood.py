"""Neural likelihood estimation: a conditional flow of data given parameters, and the posterior that it makes.

Papamakarios, Sterratt & Murray, 2019, "Sequential neural likelihood".
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from pushforward.contexts import Ensemble
from pushforward.errors import UserError
from pushforward.inference.simulation.estimation import OnRecord, Settings, Trained, trained
from pushforward.inference.simulation.simulators import Simulations
from pushforward.targets import Target
from pushforward.types import PRNGKeyArray


@dataclass(frozen=True)
class Likelihood:
    """A density of data given parameters, trained on simulated pairs.

    Attributes:
        prior: of the parameters.
        trained: the flow of flattened data given coordinates of the prior.
        shape: of the data.
    """

    prior: Target
    trained: Trained
    shape: tuple[int, ...]

    @property
    def model(self) -> Ensemble:
        """From coordinates of the prior to a density of flattened data."""
        return self.trained.model

    def posterior(self, *observations: Float[np.ndarray, "..."]) -> Target:
        """The posterior given observations, each of the shape of the simulated data, as a target for `inference.fit`.

        Args:
            observations: one or more, independent given the parameters.

        Raises:
            UserError: one has another shape, or is not finite.
        """
        rows = [np.asarray(x, np.float64) for x in observations]
        for x in rows:
            if x.shape != self.shape:
                raise UserError(f"the observation has the shape {x.shape}, simulated ones {self.shape}")
            if not np.isfinite(x).all():
                raise UserError("the observation holds numbers that are not finite")
        data = np.stack([x.ravel() for x in rows])

        def log_density(z: Float[Array, " D"]) -> Float[Array, ""]:
            given = jax.vmap(self.model(z).log_prob)(jnp.asarray(data, z.dtype))
            return self.prior.log_density(z) + jnp.sum(given)

        return Target("likelihood", self.prior.dim, log_density, model=self.prior.model)


def estimate_likelihood(
    prior: Target,
    simulations: Simulations,
    key: PRNGKeyArray,
    settings: Settings | None = None,
    *,
    on_record: OnRecord | None = None,
) -> Likelihood:
    """The likelihood of any parameters, by maximum likelihood over simulated pairs.

    Args:
        prior: of the parameters.
        simulations: pairs of parameters and data; the data must have a density.
        key: for the division of the pairs, the flow and its training.
        settings: of the flow; the defaults unless given.
        on_record: called with each record of the training, and the steps in all.

    Raises:
        UserError: there are too few simulations, or a number of the data does not vary.
        Diverged: the training met a number that is not finite.

    Example:
        >>> likelihood = estimate_likelihood(given, pairs, key)
        >>> posterior = inference.fit(likelihood.posterior(x_observed), key).refine(key)
    """
    settings = settings or Settings()
    x = simulations.x.reshape(len(simulations), -1)
    if not (x.std(axis=0) > 0).all():
        raise UserError("a number of the simulated data does not vary: it has no density; leave it out")
    swapped = Simulations(x, simulations.z)
    return Likelihood(prior, trained(swapped, key, settings, on_record), simulations.x.shape[1:])
