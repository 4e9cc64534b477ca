"""What the models share."""

import numpy as np
import numpyro.distributions as dist
from jaxtyping import Num
from numpyro.distributions import constraints

Column = Num[np.ndarray, " n"]


def flat(support: constraints.Constraint, shape: tuple[int, ...] = ()) -> dist.ImproperUniform:
    """The law of density 1 on a support."""
    return dist.ImproperUniform(support, (), shape)
